"""What each kind of document may say: one pydantic model per kind. Shape only; meaning is the linker's."""
