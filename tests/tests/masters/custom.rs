//! Conflicts that a Lua function decides.
