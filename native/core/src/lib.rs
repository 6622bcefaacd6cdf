//! What esctl does once per record. Every function has a twin in Python that gives the same bytes.
//!
//! The bytes that come in are hostile: nothing here may panic, and nothing is trusted to lie where it should.
#![forbid(unsafe_code)]

pub mod columns;
pub mod hashes;
pub mod json;
pub mod lines;
