"""The public functions of `import r1`; each calls what the command of its name calls."""
