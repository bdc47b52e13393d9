//! The two symbols of a plugin file.

use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult},
    prefix_type::PrefixTypeTrait,
    std_types::RString,
};

use super::{
    adapter,
    module::{WriterModule, WriterModule_Ref},
};
use crate::Writer;

/// A plugin: its writer and its own version. Made by [`export_writer!`](crate::export_writer).
pub trait Plugin: 'static {
    /// The writer.
    type Writer: Writer;
    /// The plugin's own version.
    const VERSION: &'static str;
}

extern "C" fn describe<P: Plugin>() -> RString {
    adapter::describe::<P::Writer>(P::VERSION)
}

fn module<P: Plugin>() -> WriterModule_Ref {
    WriterModule {
        describe: describe::<P>,
        open: adapter::open::<P::Writer>,
    }
    .leak_into_prefix()
}

extern "C" fn erased<P: Plugin>() -> RootModuleResult {
    __call_root_module_loader(module::<P>)
}

/// The header that a plugin file exports: abi_stable finds the module and its layout through it.
#[must_use]
pub const fn header<P: Plugin>() -> LibHeader {
    // SAFETY: `erased` makes its module from a `WriterModule_Ref`, the type named here.
    unsafe { LibHeader::from_constructor::<WriterModule_Ref>(erased::<P>, CheckTypeLayout::Yes) }
}

/// The type of [`header`], for the macro.
pub type Header = LibHeader;

/// Exports a [`Writer`] as the plugin of this library.
///
/// Once per `cdylib` crate:
///
/// ```ignore
/// tahr_plugin_api::export_writer!(MyWriter);
/// ```
#[macro_export]
macro_rules! export_writer {
    ($writer:ty) => {
        #[allow(unsafe_code, unreachable_pub, missing_docs)]
        mod tahr_export {
            use super::*;

            struct Exported;

            impl $crate::abi::Plugin for Exported {
                type Writer = $writer;
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }

            // SAFETY: the name belongs to tahr's plugins, of which a library holds one.
            #[unsafe(no_mangle)]
            pub static tahr_plugin_abi: u32 = $crate::abi::ABI_VERSION;

            // SAFETY: the name is the one under which abi_stable looks for its header.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static TAHR_PLUGIN_HEADER: $crate::abi::Header = $crate::abi::header::<Exported>();
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exported_name_is_the_one_that_abi_stable_looks_for() {
        let macro_text = include_str!("export.rs");
        let name = format!(
            "export_name = \"{}\"",
            abi_stable::library::ROOT_MODULE_LOADER_NAME
        );
        assert!(macro_text.contains(&name), "expected {name}");
    }
}
