//! `postiz-auth-server`: the command line.

fn main() {}
