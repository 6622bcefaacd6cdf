"""The layout. Colours are the terminal's own, so that it suits dark and light ones."""

CSS = """
Screen { layout: vertical; }
Bar { height: 1; overflow: hidden hidden; }
Rows { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
    scrollbar-background: ansi_default; scrollbar-background-hover: ansi_default;
    scrollbar-background-active: ansi_default; }
#main { height: 1fr; }
#left { width: 32%; min-width: 22; max-width: 48; margin-right: 1; }
#state { height: 2fr; }
#trail { height: 3fr; }
#bar { height: 3; }
#prompt { height: 1; border: none; padding: 0; }
Overlay { align: center middle; }
#overlay { width: 96%; height: 90%; border: round; padding: 0 1; }
"""
