"""Series as pictures: their points, lines of braille for a terminal, and charts as SVG, PNG or HTML."""
