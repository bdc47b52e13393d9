//! Plugins that are dropped into a plugin folder while the engine runs.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tahr::lane::State;
use tahr_tests::{Database, Engine, Postgres, Rows, Running, Scripted, eventually, sync};

const SOON: Duration = Duration::from_secs(30);
const COLUMNS: &[&str] = &["id", "v"];

/// A source, and an engine whose plugin folder holds the scripted plugin alone.
struct Scene {
    source: Database,
    one: Scripted,
    engine: Engine,
    folder: PathBuf,
    file: PathBuf,
}

impl Scene {
    /// With these lines in the section of the SQLite target.
    async fn with(lines: &str) -> Self {
        let source = Postgres::shared().database().await;
        source
            .execute(
                "CREATE TABLE t (id int PRIMARY KEY, v text);
                 INSERT INTO t SELECT g, 'copied' FROM generate_series(1, 100) g",
            )
            .await;
        let one = Scripted::new();
        let config = sync(source.url(), &[("one", &one)], "")
            .replace("targets = [\"one\"]", "targets = [\"one\", \"lite\"]");
        let engine = Engine::builder()
            .setting("plugin_dirs = [\"plugins\"]")
            .config(format!(
                "[targets.lite]\nplugin = \"sqlite\"\noptions = {{ path = \"lite.db\" }}\n{lines}"
            ))
            .config(config)
            .build();
        let folder = engine.folder().join("plugins");
        fs::create_dir(&folder).expect("make the plugin folder");
        let name = "libtahr_scripted.so";
        fs::copy(built(name), folder.join(name)).expect("copy a plugin");
        let file = engine.folder().join("lite.db");
        Self {
            source,
            one,
            engine,
            folder,
            file,
        }
    }

    fn plugin(&self) -> PathBuf {
        self.folder.join("libtahr_sqlite.so")
    }

    /// Starts it, and waits until the lane with a plugin streams and the other one waits for its.
    async fn start_without(&self) -> Running {
        let running = self.engine.start();
        self.engine.await_lane("one", State::Streaming).await;
        let lane = self.engine.await_lane("lite", State::Parked).await;
        assert_eq!(lane.awaits.as_deref(), Some("sqlite"));
        running
    }

    async fn both_hold(&self) {
        let query = "SELECT id, v FROM t";
        eventually(SOON, "both targets hold all", async || {
            self.one.holds(&self.source, "t", COLUMNS).await?;
            let expected = Rows::postgres(&self.source, query).await?;
            expected
                .same_as(&Rows::sqlite(&self.file, query)?)
                .map_err(|report| format!("{report}; {:?}", self.engine.lane("lite")))
        })
        .await;
    }

    /// Waits until the fault of the lane without a plugin has `part` in it.
    async fn waits_for(&self, part: &str) {
        eventually(SOON, "the lane says why it waits", async || {
            let fault = self.engine.lane("lite")?.fault.ok_or("no fault")?;
            let text = format!("{} {}", fault.message, fault.hint);
            text.contains(part).then_some(()).ok_or(text)
        })
        .await;
    }

    fn begins(&self) -> usize {
        let calls = self.one.calls();
        calls.iter().filter(|call| *call == "open stream").count()
    }
}

fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("path of the test executable");
    let folder = test.parent().and_then(Path::parent);
    let path = folder.expect("the build folder").join(name);
    assert!(
        path.exists(),
        "{}: run `cargo build --workspace` first",
        path.display()
    );
    path
}

/// The scripted plugin with another content.
fn put_variant(name: &str, path: &Path) {
    // As it should be done: a loaded file is never written into.
    let new = path.with_extension("new");
    fs::copy(built(name), &new).expect("copy a plugin");
    let mut file = File::options().append(true).open(&new).expect("open it");
    file.write_all(b"another").expect("lengthen it");
    fs::rename(&new, path).expect("put it into its place");
}

/// Whether the process has the file in memory.
fn has_loaded(running: &Running, path: &Path) -> bool {
    let maps = format!("/proc/{}/maps", running.process().pid());
    let maps = fs::read_to_string(maps).expect("the engine's memory");
    maps.contains(&*path.to_string_lossy())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_without_its_plugin_waits_for_it_and_starts_by_itself() {
    let scene = Scene::with("").await;
    let running = scene.start_without().await;
    scene
        .waits_for("plugin \"sqlite\" is not in any plugin folder")
        .await;
    scene.waits_for("put libtahr_sqlite.so there").await;
    let status = scene.engine.tahr(&["status"]);
    assert!(
        status
            .stdout
            .contains("it starts by itself when the plugin is there"),
        "{}",
        status.stdout
    );
    assert!(running.stderr().contains("ERROR"), "it is told loudly");
    scene.source.execute("UPDATE t SET v = 'before'").await;
    fs::copy(built("libtahr_sqlite.so"), scene.plugin()).expect("drop it in");
    scene
        .source
        .execute("INSERT INTO t VALUES (0, 'during')")
        .await;
    scene.both_hold().await;
    scene.source.execute("DELETE FROM t WHERE id % 2 = 0").await;
    scene.both_hold().await;
    assert_eq!(scene.begins(), 1, "the other lane was touched");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_plugin_comes_late_goes_on_where_its_target_stands() {
    let scene = Scene::with("").await;
    fs::copy(built("libtahr_sqlite.so"), scene.plugin()).expect("copy a plugin");
    scene.engine.run_once();
    fs::remove_file(scene.plugin()).expect("take it away");
    scene
        .source
        .execute("UPDATE t SET v = 'while stopped'")
        .await;
    let running = scene.start_without().await;
    // The log lets go of it, the slot doesn't.
    for id in 200..220 {
        scene
            .source
            .execute(&format!("INSERT INTO t VALUES ({id}, 'while waiting')"))
            .await;
    }
    eventually(SOON, "the other lane holds it", async || {
        scene.one.holds(&scene.source, "t", COLUMNS).await
    })
    .await;
    fs::copy(built("libtahr_sqlite.so"), scene.plugin()).expect("drop it in");
    scene.both_hold().await;
    let lane = scene.engine.lane("lite").expect("a lane");
    assert_eq!(lane.rows_copied, None, "it is not copied again");
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_finds_a_plugin_at_once() {
    let scene = Scene::with("").await;
    let running = scene.start_without().await;
    fs::copy(built("libtahr_sqlite.so"), scene.plugin()).expect("drop it in");
    let done = scene.engine.tahr(&["reload"]);
    done.assert_success();
    // Unless the engine was quicker by itself.
    assert!(
        done.stdout.contains("started lane s/lite") || running.stderr().contains("the lane starts"),
        "{}",
        done.stdout
    );
    scene.both_hold().await;
    assert_eq!(scene.begins(), 1);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_half_written_is_not_loaded() {
    let scene = Scene::with("").await;
    let running = scene.start_without().await;
    let whole = fs::read(built("libtahr_sqlite.so")).expect("read a plugin");
    let (first, rest) = whole.split_at(whole.len() / 2);
    fs::write(scene.plugin(), first).expect("write the first half");
    // It stays so for longer than any file that is copied stands still.
    scene.waits_for("is not complete").await;
    scene.engine.tahr(&["reload"]).assert_success();
    assert!(!has_loaded(&running, &scene.plugin()));
    let mut file = File::options()
        .append(true)
        .open(scene.plugin())
        .expect("open it");
    file.write_all(rest).expect("write the rest");
    drop(file);
    scene.both_hold().await;
    assert!(has_loaded(&running, &scene.plugin()));
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_other_than_the_pinned_one_is_refused_before_it_is_loaded() {
    let pin = format!("sha256 = \"{}\"\n", "0".repeat(64));
    let scene = Scene::with(&pin).await;
    fs::copy(built("libtahr_sqlite.so"), scene.plugin()).expect("copy a plugin");
    let running = scene.start_without().await;
    scene.waits_for("is not the one that was pinned").await;
    assert!(!has_loaded(&running, &scene.plugin()));
    assert!(has_loaded(
        &running,
        &scene.folder.join("libtahr_scripted.so")
    ));
    let lane = scene.engine.lane("lite").expect("a lane");
    let hint = lane.fault.expect("why it waits").hint;
    let hash = hint.split("sha256 is ").nth(1).expect("the file's hash");
    let config = scene.engine.config().replace(&"0".repeat(64), hash.trim());
    scene.engine.write_config(&config);
    let done = scene.engine.tahr(&["reload"]);
    done.assert_success();
    assert!(
        done.stdout
            .contains("restarted lane s/lite: sha256 changed"),
        "{}",
        done.stdout
    );
    scene.both_hold().await;
    assert_eq!(scene.begins(), 1);
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_plugin_stays_whatever_becomes_of_its_file() {
    let scene = Scene::with("").await;
    fs::copy(built("libtahr_sqlite.so"), scene.plugin()).expect("copy a plugin");
    let running = scene.engine.start();
    scene.engine.await_lane("lite", State::Streaming).await;
    put_variant("libtahr_sqlite.so", &scene.plugin());
    let second = scene.folder.join("libtahr_sqlite-2.so");
    put_variant("libtahr_scripted.so", &second);
    for part in [
        "libtahr_sqlite.so: has changed since it was loaded",
        "libtahr_sqlite-2.so: holds plugin \"scripted\" as well, which was loaded from",
    ] {
        eventually(SOON, "the log says so", async || {
            let log = running.stderr();
            log.contains(part).then_some(()).ok_or(log)
        })
        .await;
        let done = scene.engine.tahr(&["reload"]);
        done.assert_success();
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
        assert!(done.stdout.contains("2 lanes unchanged"), "{}", done.stdout);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let times = running
        .stderr()
        .matches("has changed since it was loaded")
        .count();
    assert!(times <= 4, "it is told again and again: {times} times");
    scene.source.execute("UPDATE t SET v = 'after'").await;
    scene.both_hold().await;
    running.terminate().assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn run_once_brings_the_others_and_fails_for_the_missing_plugin() {
    let scene = Scene::with("").await;
    let finished = scene.engine.tahr(&["run", "--once"]);
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("put libtahr_sqlite.so there"),
        "{}",
        finished.stderr
    );
    let held = scene.one.holds(&scene.source, "t", COLUMNS).await;
    held.expect("the other target");
}
