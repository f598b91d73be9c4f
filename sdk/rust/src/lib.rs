//! What the author of a policy in Rust imports: the contract's types, the two traits, and the macro
//! that makes a component of an implementation.
//!
//! A policy is a type with associated functions. Compiled natively it is called like any function;
//! compiled for `wasm32-unknown-unknown` and encoded by `trimtab-componentize` it is a component.

pub use trimtab_contract::*;
pub use trimtab_models as models;

pub mod settings;
pub mod state;

/// Uses the memory that a component begins with. The standard library's does not, and asks for more
/// in each call, which costs the host two changes of its page tables.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Turns measurements of one pool into supply and demand.
pub trait Analyzer {
    fn describe() -> Descriptor;

    /// The same arguments must give the same answer.
    ///
    /// # Errors
    /// A refusal where the settings do not fit or the input lacks what the policy needs.
    fn analyze(
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, Refusal>;
}

/// Turns supply and demand of several pools into replica counts.
pub trait Optimizer {
    fn describe() -> Descriptor;

    /// The same arguments must give the same answer.
    ///
    /// # Errors
    /// A refusal where the settings do not fit or the input lacks what the policy needs.
    fn optimize(context: &Context, requests: &[Request], limits: &Limits) -> Result<Plan, Refusal>;
}

#[doc(hidden)]
pub mod bindings {
    #[allow(
        clippy::all,
        clippy::pedantic,
        unsafe_code,
        unreachable_pub,
        reason = "generated"
    )]
    pub mod analyzer {
        wit_bindgen::generate!({
            path: "../../wit/policy@0.1.0",
            world: "analyzer-bindings",
            with: { "trimtab:policy/types@0.1.0": trimtab_contract },
            pub_export_macro: true,
            export_macro_name: "export_analyzer_component",
            default_bindings_module: "trimtab_sdk::bindings::analyzer",
        });
    }

    #[allow(
        clippy::all,
        clippy::pedantic,
        unsafe_code,
        unreachable_pub,
        reason = "generated"
    )]
    pub mod optimizer {
        wit_bindgen::generate!({
            path: "../../wit/policy@0.1.0",
            world: "optimizer-bindings",
            with: { "trimtab:policy/types@0.1.0": trimtab_contract },
            pub_export_macro: true,
            export_macro_name: "export_optimizer_component",
            default_bindings_module: "trimtab_sdk::bindings::optimizer",
        });
    }
}

/// Exports a type that implements [`Analyzer`] from the component that this crate becomes.
#[macro_export]
macro_rules! export_analyzer {
    ($policy:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[expect(unsafe_code, reason = "the component ABI is exported by symbol")]
            mod component {
                use $crate::Analyzer as _;
                struct Component;
                impl $crate::bindings::analyzer::exports::trimtab::policy::analyzer::Guest for Component {
                    fn describe() -> $crate::Descriptor {
                        super::$policy::describe()
                    }
                    fn analyze(
                        context: $crate::Context,
                        pool: $crate::Pool,
                        replicas: Vec<$crate::Replica>,
                        knowledge: Vec<$crate::Knowledge>,
                    ) -> Result<$crate::Analysis, $crate::Refusal> {
                        super::$policy::analyze(&context, &pool, &replicas, &knowledge)
                    }
                }
                $crate::bindings::analyzer::export_analyzer_component!(Component with_types_in $crate::bindings::analyzer);
            }
        };
    };
}

/// Exports a type that implements [`Optimizer`] from the component that this crate becomes.
#[macro_export]
macro_rules! export_optimizer {
    ($policy:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[expect(unsafe_code, reason = "the component ABI is exported by symbol")]
            mod component {
                use $crate::Optimizer as _;
                struct Component;
                impl $crate::bindings::optimizer::exports::trimtab::policy::optimizer::Guest for Component {
                    fn describe() -> $crate::Descriptor {
                        super::$policy::describe()
                    }
                    fn optimize(
                        context: $crate::Context,
                        requests: Vec<$crate::Request>,
                        limits: $crate::Limits,
                    ) -> Result<$crate::Plan, $crate::Refusal> {
                        super::$policy::optimize(&context, &requests, &limits)
                    }
                }
                $crate::bindings::optimizer::export_optimizer_component!(Component with_types_in $crate::bindings::optimizer);
            }
        };
    };
}
