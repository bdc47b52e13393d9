//! Bucardo 5 between two databases of the server, each a source: installed, measured, removed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tahr_tests::{Postgres, ProcessId, Run, Signal, eventually};

use crate::load::{Measured, Replication, TABLE};

/// A running Bucardo; ended when dropped.
struct Bucardo {
    folder: PathBuf,
    host: String,
    port: String,
}

pub(crate) async fn measure(server: &Postgres) -> Measured {
    let (one, two) = (server.database().await, server.database().await);
    one.execute(TABLE).await;
    two.execute(TABLE).await;
    let bucardo = Bucardo::new(server);
    bucardo.install();
    for (name, database) in [("one", &one), ("two", &two)] {
        let place = [
            format!("dbname={}", database.name()),
            format!("dbhost={}", bucardo.host),
            format!("dbport={}", bucardo.port),
            "dbuser=bucardo".to_owned(),
        ];
        let mut arguments = vec!["add", "db", name];
        arguments.extend(place.iter().map(String::as_str));
        bucardo.run(&arguments);
    }
    bucardo.run(&["add", "table", "items", "db=one", "relgroup=items"]);
    bucardo.run(&[
        "add",
        "sync",
        "items",
        "relgroup=items",
        "dbs=one:source,two:source",
        "autokick=0",
    ]);
    let folder = bucardo.folder.display();
    bucardo.run(&["set", &format!("piddir={folder}"), "log_level=terse"]);
    bucardo.run(&["start", "--log-destination", &folder.to_string()]);
    eventually(Duration::from_secs(30), "Bucardo runs", async || {
        let has = bucardo.processes();
        // Of the master, the controller and the child at least the first two show by a file.
        (has.len() >= 2).then_some(()).ok_or(format!("{has:?}"))
    })
    .await;
    for process in bucardo.processes() {
        Run::current().owns(process);
    }
    let mut measured = Measured::default();
    measured.backlogs(&bucardo, &one, &two).await;
    bucardo.run(&["update", "sync", "items", "autokick=1"]);
    bucardo.run(&["reload", "sync", "items"]);
    // It stops and starts what works for the sync, and says nothing of when it is done.
    one.execute("UPDATE items SET name = 'reloaded' WHERE id = 1")
        .await;
    let look = "SELECT count(*) FROM items WHERE id = 1 AND name = 'reloaded'";
    eventually(
        Duration::from_secs(60),
        "Bucardo is kicked by changes",
        async || {
            let found = two.value(look).await;
            (found == "1").then_some(()).ok_or(found)
        },
    )
    .await;
    measured.live(&one, &two).await;
    measured.latency_between(&one, &[&two]).await;
    drop(bucardo);
    measured
}

/// Without `autokick` it does nothing until it is told to.
impl Replication for Bucardo {
    async fn hold(&self) {}

    async fn release(&self) {
        self.run(&["kick", "items"]);
    }
}

impl Bucardo {
    fn new(server: &Postgres) -> Self {
        let address = server.address();
        Self {
            folder: Run::current().make_folder("bucardo"),
            host: address.ip().to_string(),
            port: address.port().to_string(),
        }
    }

    fn command(&self, user: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("bucardo");
        command
            .arg("--no-bucardorc")
            .args([
                "--dbhost", &self.host, "--dbport", &self.port, "--dbuser", user,
            ])
            .args(arguments)
            // It writes notes there.
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    fn install(&self) {
        let pids = self.folder.display().to_string();
        self.ask(self.command("postgres", &["install", "--batch", "--pid-dir", &pids]));
    }

    fn run(&self, arguments: &[&str]) {
        let mut all = vec!["--dbname", "bucardo"];
        all.extend(arguments);
        self.ask(self.command("bucardo", &all));
    }

    fn ask(&self, mut command: Command) {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("bucardo: {error}; run scripts/bucardo.sh"));
        assert!(
            output.status.success(),
            "{command:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Those of its processes that have noted themselves.
    fn processes(&self) -> Vec<ProcessId> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|end| end == "pid"))
            .filter_map(|file| {
                let text = fs::read_to_string(file.path()).ok()?;
                ProcessId::of(text.lines().next()?.trim().parse().ok()?)
            })
            .collect()
    }
}

impl Drop for Bucardo {
    fn drop(&mut self) {
        let processes = self.processes();
        let _asked = self
            .command("bucardo", &["--dbname", "bucardo", "stop"])
            .output();
        for process in processes {
            if !process.wait(Duration::from_secs(5)) {
                process.end(Signal::Term, Duration::from_secs(5));
            }
        }
        let _later = fs::remove_dir_all(&self.folder);
    }
}
