//! (module documentation follows with its first content)
