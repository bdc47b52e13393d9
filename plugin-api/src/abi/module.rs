//! A plugin's root: what a `.so` exports, and how the engine finds it there.

use std::{fmt, path::Path};

use abi_stable::{
    StableAbi,
    library::{LibraryError, RootModule, lib_header_from_path},
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RBox, RString},
};

use super::raw::{RawDescription, RawHost_TO, RawOpened, RawResult};

/// The number in a plugin's plain symbol `tahr_plugin_abi`. It is read before anything else, so
/// that a foreign or old file gets one clear line.
pub const ABI_VERSION: u32 = 1;

/// The functions that a plugin exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = WriterModule_Ref)))]
#[sabi(missing_field(panic))]
pub struct WriterModule {
    /// The plugin of itself.
    pub describe: extern "C" fn() -> RawDescription,
    /// Options (JSON), role and host in, a writer out.
    #[sabi(last_prefix_field)]
    pub open: extern "C" fn(RString, u32, RawHost_TO<'static, RBox<()>>) -> RawResult<RawOpened>,
}

impl RootModule for WriterModule_Ref {
    abi_stable::declare_root_module_statics! {WriterModule_Ref}

    const BASE_NAME: &'static str = "tahr_plugin";
    const NAME: &'static str = "tahr_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

impl fmt::Debug for WriterModule_Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterModule_Ref")
    }
}

/// Why a library that has the plain symbol is no usable plugin all the same.
#[derive(Debug)]
pub struct ModuleError {
    /// One line.
    pub message: String,
    /// Everything that the layout check said, for a debug log.
    pub details: String,
}

/// Opens the plugin in the file at `path`. It is checked first and never unloaded.
///
/// Every file has its own module, though all have the same root type: the shortcuts that cache per
/// type would give the second plugin the first one's functions.
///
/// # Errors
///
/// The file can't be loaded, is no plugin, or was built against another plugin-api.
pub fn open_module(path: &Path) -> Result<WriterModule_Ref, ModuleError> {
    let error = |error: LibraryError| {
        let message = match &error {
            LibraryError::OpenError { .. } => "can't be loaded".to_owned(),
            LibraryError::GetSymbolError { .. } => "is not a tahr plugin".to_owned(),
            LibraryError::IncompatibleVersionNumber {
                expected_version,
                actual_version,
                ..
            } => {
                format!("was built for tahr-plugin-api {actual_version}, not {expected_version}")
            }
            LibraryError::AbiInstability(_) => {
                "was built against another tahr-plugin-api; rebuild it".to_owned()
            }
            _ => "is not a usable tahr plugin".to_owned(),
        };
        ModuleError {
            message,
            details: error.to_string(),
        }
    };
    lib_header_from_path(path)
        .and_then(|header| header.init_root_module::<WriterModule_Ref>())
        .map_err(error)
}
