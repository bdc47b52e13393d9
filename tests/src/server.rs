//! A server, whichever it is: shared by the tests of a run, or one test's own to stop and kill.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::process::{ProcessId, Signal};
use crate::run::{Run, unique};
use crate::service::Service;

/// A server that the harness makes, running or not.
pub trait Instance: fmt::Debug {
    /// Starts it on its data and port, and waits until it takes connections.
    fn start(&mut self);

    /// Its process and folder.
    fn service(&mut self) -> &mut Service;

    /// What clients connect to.
    fn url(&self) -> String;

    /// Shuts it down in order.
    fn stop(&mut self) {
        self.service().end(Signal::Term);
    }

    /// Ends it on the spot, as a crash does.
    fn kill(&mut self) {
        self.service().end(Signal::Kill);
    }
}

/// A server of one kind. A test's own ends when dropped.
#[derive(Debug)]
pub struct Server<I: Instance> {
    /// Without a database.
    pub(crate) url: String,
    /// Absent for the shared server.
    instance: Option<I>,
}

impl<I: Instance> Server<I> {
    /// The server that all tests of the run share: what the environment names in `variable`, or one
    /// of the run's own, made in a folder named after `name`.
    pub(crate) fn of_the_run(
        variable: &str,
        name: &str,
        create: impl FnOnce(PathBuf) -> I,
    ) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            Run::current().once(name, || {
                // A first attempt may have been killed half-way, and have left its own.
                let folder = Run::current().folder().join(format!("{name}-{}", unique()));
                let mut instance = create(folder);
                instance.start();
                instance.url()
            })
        });
        Self {
            url,
            instance: None,
        }
    }

    /// A server of the test's own, started.
    pub(crate) fn of_the_test(mut instance: I) -> Self {
        instance.start();
        Self {
            url: instance.url(),
            instance: Some(instance),
        }
    }

    /// Its process, if it runs.
    pub fn process(&mut self) -> Option<ProcessId> {
        self.instance().service().process()
    }

    /// Starts it again on the same port, with the data that it keeps.
    pub fn start(&mut self) {
        self.instance().start();
    }

    /// Shuts it down in order; sessions are ended.
    pub fn stop(&mut self) {
        self.instance().stop();
    }

    /// Shuts it down in order and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Ends it on the spot, as a crash does.
    pub fn kill(&mut self) {
        self.instance().kill();
    }

    pub(crate) fn instance(&mut self) -> &mut I {
        self.instance
            .as_mut()
            .expect("the shared server is not stopped: ask for one of the test's own")
    }
}

impl<I: Instance> Drop for Server<I> {
    fn drop(&mut self) {
        if let Some(instance) = &mut self.instance {
            instance.kill();
            instance.service().remove();
        }
    }
}

/// The first address of a host and port.
pub(crate) fn first_address(of: impl ToSocketAddrs) -> SocketAddr {
    let mut found = of.to_socket_addrs().expect("the server's address");
    found.next().expect("an address")
}
