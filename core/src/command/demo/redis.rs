//! The demo's Redis.

use std::{
    io::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    folder::Folder,
    process::{Process, free_port},
    programs::Programs,
    resp::Client,
};
use crate::Error;

/// A server without persistence.
#[derive(Debug)]
pub(super) struct Redis {
    port: u16,
    _process: Process,
}

impl Redis {
    pub(super) async fn start(
        programs: &Programs,
        folder: &Folder,
        password: &str,
    ) -> Result<Self, Error> {
        let home = folder.server("redis", programs.user)?;
        let port = free_port()?;
        let log = home.join("redis.log");
        // Rows of pgbench's, with a value of 84 characters, then take a third of the memory.
        let config = format!(
            "port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave \"\"\nappendonly no\n\
             hash-max-listpack-value 128\ndir \"{}\"\nlogfile \"{}\"\n",
            home.display(),
            log.display()
        );
        let mut command = programs.server(&programs.redis);
        // From stdin: on the command line every user could read the password.
        command
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start("redis-server", &mut command, Some(&log))?;
        if let Some(mut stdin) = process.child().stdin.take() {
            let written = stdin.write_all(config.as_bytes());
            written.map_err(|error| Error::failed("configure redis-server").caused_by(error))?;
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = Client::connect(port, password).await {
            if process.has_ended()? {
                return Err(process.failure("ended at once"));
            }
            if Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            port,
            _process: process,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}
