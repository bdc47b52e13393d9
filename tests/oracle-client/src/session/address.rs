//! Connect strings.

use std::path::PathBuf;

use crate::error::{OraError, Result};
use crate::faults::{Fault, Faults};

/// The variable that names the folder of databases.
const FOLDER: &str = "TAHR_ORACLE_STAND_IN_DIR";

/// The version of a server that no file gives another.
const VERSION: &str = "19.3.0.0.0";

/// A database that is there and listened for.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) file: PathBuf,
    pub(crate) service: String,
}

impl Address {
    /// Finds the database that a connect string means.
    pub(crate) fn find(connect: &str) -> Result<Self> {
        let address = match connect.strip_prefix("stand-in:") {
            Some(path) => {
                let file = PathBuf::from(path);
                let service = file
                    .file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned());
                Self {
                    file,
                    service: service.unwrap_or_default(),
                }
            }
            None => {
                let service = service(connect).to_owned();
                let folder = std::env::var_os(FOLDER).ok_or_else(|| {
                    OraError::new(
                        12154,
                        "TNS:could not resolve the connect identifier specified",
                    )
                })?;
                Self {
                    file: PathBuf::from(folder).join(format!("{service}.db")),
                    service,
                }
            }
        };
        if address.file.with_extension("down").exists() {
            return Err(OraError::of_code(12541));
        }
        if let Some(Fault::Before(error) | Fault::After(error)) =
            Faults::of(&address.file).at("attach", "")
        {
            return Err(error);
        }
        if !address.file.exists() {
            return Err(OraError::of_code(12514));
        }
        Ok(address)
    }

    pub(super) fn version(&self) -> String {
        let text = std::fs::read_to_string(self.file.with_extension("version"));
        text.map_or_else(|_| VERSION.to_owned(), |text| text.trim().to_owned())
    }
}

/// The service of `//host:port/service`, of a descriptor, or of a name.
fn service(connect: &str) -> &str {
    let upper = connect.to_ascii_uppercase();
    if let Some(at) = upper.find("SERVICE_NAME") {
        let rest = connect[at + "SERVICE_NAME".len()..]
            .trim_start()
            .trim_start_matches('=')
            .trim_start();
        return rest.split([')', ' ']).next().unwrap_or(rest);
    }
    let service = connect.rsplit('/').next().unwrap_or(connect);
    service.split([':', '?']).next().unwrap_or(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_in_every_form() {
        for connect in [
            "//127.0.0.1:1521/SHOP",
            "localhost:1521/SHOP",
            "SHOP",
            "tcp://h:1521/SHOP:dedicated",
            "(DESCRIPTION=(ADDRESS=(HOST=h)(PORT=1))(CONNECT_DATA=(SERVICE_NAME = SHOP)))",
        ] {
            assert_eq!(service(connect), "SHOP");
        }
    }
}
