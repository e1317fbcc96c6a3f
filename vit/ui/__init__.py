"""The page, a module a tab; the only code that imports gradio."""
