//! `cargo +nightly fuzz run decoder`
#![no_main]
#![allow(dead_code)]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|image: &str| properties::decoder(image));
