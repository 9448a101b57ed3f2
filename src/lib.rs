//! The auth server behind `postiz auth:login`.
