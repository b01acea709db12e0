//! Tells Cargo to build the daemon again when the page or the embedded model changes.
//!
//! The page may not be built yet. Cargo takes a missing watched path for a changed one, and would
//! compile the daemon on every call, so an empty folder is made to be watched instead.

use std::fs;

fn main() {
    let page = "../dist";
    if let Err(error) = fs::create_dir_all(page) {
        println!("cargo::warning=the folder {page} cannot be made: {error}");
    }
    println!("cargo::rerun-if-changed={page}");
    println!("cargo::rerun-if-changed=../public/models/fresco-tiny");
}
