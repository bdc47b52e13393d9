//! The programs that the demo needs, and the user that servers run as.

use std::{
    env,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, cli::Show};

/// Where Debian keeps PostgreSQL's programs, in a folder per version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Where each program is.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    pub(super) pgbench: PathBuf,
    pub(super) redis: PathBuf,
    pub(super) sqlite3: PathBuf,
    /// Whom servers run as, where it is not oneself.
    pub(super) user: Option<User>,
}

/// An unprivileged user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Programs {
    /// Finds all that `show` needs, or names all that are missing; the others' places are empty.
    pub(super) fn find(show: Show) -> Result<Self, Error> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = env::split_paths(&path)
            .chain(["/usr/sbin".into()])
            .collect();
        let postgres = postgres_folder(&folders, Path::new(DEBIAN));
        let in_postgres = |name: &str| {
            postgres
                .as_ref()
                .map(|folder| folder.join(name))
                .filter(|path| is_program(path))
        };
        let mut missing = Vec::new();
        let mut need = |found: Option<PathBuf>, package: &'static str| {
            found.unwrap_or_else(|| {
                if !missing.contains(&package) {
                    missing.push(package);
                }
                PathBuf::new()
            })
        };
        let (initdb, server) = (in_postgres("initdb"), in_postgres("postgres"));
        let (initdb, server) = (need(initdb, "postgresql"), need(server, "postgresql"));
        let mut for_copies = |found, package| match show {
            Show::Copies => need(found, package),
            Show::Masters => PathBuf::new(),
        };
        let programs = Self {
            initdb,
            postgres: server,
            pgbench: for_copies(
                in_postgres("pgbench").or_else(|| on(&folders, "pgbench")),
                "postgresql",
            ),
            redis: for_copies(on(&folders, "redis-server"), "redis-server"),
            sqlite3: for_copies(on(&folders, "sqlite3"), "sqlite3"),
            user: if rustix::process::geteuid().is_root() {
                Some(nobody()?)
            } else {
                None
            },
        };
        if missing.is_empty() {
            return Ok(programs);
        }
        let missing = missing.join(" ");
        Err(Error::failed(format!(
            "the demo needs programs that are not here: {missing}"
        ))
        .hint(format!("sudo apt-get install {missing}")))
    }

    /// A server's command: as the unprivileged user, and out of reach of the terminal's Ctrl-C,
    /// which is the demo's to handle.
    pub(super) fn server(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").process_group(0).env("LC_ALL", "C");
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

/// The folder of PostgreSQL's server programs: on the path, or else Debian's newest.
fn postgres_folder(path: &[PathBuf], debian: &Path) -> Option<PathBuf> {
    if let Some(initdb) = on(path, "initdb") {
        return initdb.parent().map(Path::to_owned);
    }
    let versions = std::fs::read_dir(debian)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version: f64 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            is_program(&folder.join("initdb")).then_some((version, folder))
        });
    versions
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, folder)| folder)
}

fn on(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// PostgreSQL refuses to run as root.
fn nobody() -> Result<User, Error> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    user(&users, "nobody").ok_or_else(|| {
        Error::failed("PostgreSQL can't run as root, and there is no user \"nobody\"")
            .hint("run the demo as a user other than root")
    })
}

fn user(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        Some(User {
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_debians_versions_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9.6", "14", "9", "17-old"] {
            let bin = folder.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::write(bin.join("initdb"), "").unwrap();
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(bin.join("initdb"), executable).unwrap();
        }
        std::fs::create_dir_all(folder.path().join("18/bin")).unwrap();
        let found = postgres_folder(&[], folder.path()).unwrap();
        assert_eq!(found, folder.path().join("14/bin"));
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/:\nnobody2:x:1:1::/:\nnobody:x:65534:65533::/:\n";
        assert_eq!(
            user(users, "nobody"),
            Some(User {
                uid: 65534,
                gid: 65533
            })
        );
        assert_eq!(user(users, "daemon"), None);
    }
}
