//! The kernel compilers' registries, which static constructors fill.

/// Fills the registries of CubeCL's compilers; once is enough, more does nothing.
///
/// In a browser this must be called before the first kernel, and that it is called matters everywhere: a wasm program
/// that never calls its constructors has them called by the linker at the top of every exported function, which is
/// thousands of entries at every call from JavaScript, several for each launch of a kernel.
pub fn fill() {
    #[cfg(target_arch = "wasm32")]
    {
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: the linker's own function, of this signature. Constructors of this program are `inventory`'s, which
        // may run at any time and more than once.
        ONCE.call_once(|| unsafe { __wasm_call_ctors() });
    }
}
