"""Questions by assistants: tools of the Model Context Protocol that read a store and change nothing."""
