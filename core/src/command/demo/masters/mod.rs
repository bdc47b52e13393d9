//! `tahr demo masters`: three databases replicate to each other, and quarrel about Hamlet.

mod config;
mod shakes;
mod tahr;

use serde_json::Value;

use super::{folder, folder::Folder, heading, postgres::Postgres, programs::Programs};
use crate::{Error, Faults, cli, command::Output};
use shakes::{NAMES, Shakes};
use tahr::Tahr;

/// The sync's name.
const SYNC: &str = "shakespeare";

/// Runs it; every line that it prints has come true, or it ends with what has not.
pub(super) async fn show(options: &cli::Demo, out: &mut Output) -> Result<(), Faults> {
    let programs = Programs::find(options.show)?;
    let folder = Folder::make(&options.dir, options.keep)?;
    out.line("tahr demo masters: three databases that replicate to each other");

    heading(
        out,
        1,
        "starting a throwaway PostgreSQL with three databases",
    );
    let password = folder::password()?;
    let postgres = Postgres::start(&programs, &folder, &password).await?;
    let shakes = Shakes::make(&postgres).await?;
    out.line("   each has the same table \"character\", of people in Shakespeare's plays");
    out.line(format!(
        "   Hamlet's speeches:{}",
        shakes::shown(&shakes.counts().await?)
    ));
    folder.write_config(&config::text(postgres.port()))?;
    out.line(format!("   config: {}", folder.config().display()));

    heading(out, 2, "tahr run: all three are masters");
    let tahr = Tahr::run(&folder, &password)?;
    let mut story = Story {
        shakes,
        tahr,
        out,
        conflicts: 0,
    };
    story.begin().await?;

    heading(story.out, 3, "an update on one of them");
    story.update(0, 123).await?;
    story.agree(123, 0).await?;

    heading(
        story.out,
        4,
        "a different update on each, made while tahr is paused, so that they meet",
    );
    story.meet(&[(0, 111), (1, 222), (2, 333)]).await?;
    story.out.line("   the last one is everywhere:");
    story.agree(333, 1).await?;

    heading(
        story.out,
        5,
        "two updates that meet, while nobody looks at the third",
    );
    story.meet(&[(0, 1234), (1, 4321)]).await?;
    story.agree(4321, 1).await?;

    heading(story.out, 6, "comparing every row of all three");
    if !story.shakes.are_equal().await? {
        return Err(Error::failed("the databases are not equal").into());
    }
    story.out.line("   all equal");
    let Story { tahr, out, .. } = story;
    tahr.stop().await?;
    out.line("");
    out.line(format!("{:18}{}", "the config", folder.config().display()));
    if options.keep {
        out.line(format!("{:18}{}", "the data", folder.servers().display()));
    }
    out.line("");
    out.line("✔ all masters agree, and every conflict is in the log");
    Ok(())
}

/// The show as it goes on.
struct Story<'a> {
    shakes: Shakes,
    tahr: Tahr,
    out: &'a mut Output,
    /// Conflicts that were shown already.
    conflicts: usize,
}

impl Story<'_> {
    async fn begin(&mut self) -> Result<(), Error> {
        let arguments = ["kick", SYNC, "--wait", "60"];
        self.tahr.once_it_listens(&arguments).await?;
        self.out
            .line("   it has compared the three, and holds rounds from now on");
        Ok(())
    }

    /// Types a command of tahr's.
    fn type_in(&mut self, arguments: &[&str]) -> Result<String, Error> {
        self.out.line(format!("   $ tahr {}", arguments.join(" ")));
        self.tahr.command(arguments)
    }

    async fn update(&mut self, place: usize, count: u32) -> Result<(), Error> {
        let sql = self.shakes.set(place, count).await?;
        self.out.line(format!("   {}=# {sql};", NAMES[place]));
        Ok(())
    }

    async fn meet(&mut self, updates: &[(usize, u32)]) -> Result<(), Error> {
        self.type_in(&["pause", SYNC])?;
        for (place, count) in updates {
            self.update(*place, *count).await?;
        }
        let counts = self.shakes.counts().await?;
        self.out.line(shakes::shown(&counts));
        self.type_in(&["resume", SYNC])?;
        Ok(())
    }

    /// Waits until all have `count`, and shows the conflicts since last time, which have to be so many.
    async fn agree(&mut self, count: u32, conflicts: usize) -> Result<(), Error> {
        let took = self.shakes.agree_on(count).await?;
        let counts = self.shakes.counts().await?;
        let millis = took.as_millis();
        self.out.line(format!(
            "{}   ({millis} ms)   conflicts={conflicts}",
            shakes::shown(&counts)
        ));
        let logged = self.tahr.command(&["conflicts", SYNC, "--json"])?;
        let logged: Vec<Value> = serde_json::from_str(&logged).map_err(|error| {
            Error::failed("read what tahr conflicts --json says").caused_by(error)
        })?;
        let new = logged.len().saturating_sub(self.conflicts);
        if new != conflicts {
            let error = format!("expected conflicts={conflicts}, and the log has {new} new ones");
            return Err(Error::failed(error));
        }
        self.conflicts = logged.len();
        if new > 0 {
            let lines = self.type_in(&["conflicts", SYNC])?;
            for line in lines.lines() {
                self.out.line(format!("   {line}"));
            }
        }
        Ok(())
    }
}
