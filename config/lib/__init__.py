"""The toolbox every app may import; it imports nothing but the standard library and Django."""
