//! Policies as WebAssembly components: verified, compiled, cached, called under limits.
