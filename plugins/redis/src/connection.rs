//! One connection: the socket is ours, so that a blocked call can be interrupted; the protocol is
//! the `redis` crate's.

use std::{
    io::{self, Read, Write as _},
    net::{Shutdown, TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _, Parser, Value,
};
use tahr_plugin_api::WriteError;

use crate::{error, options::Options};

/// Where and as whom to connect.
#[derive(Clone)]
pub(crate) struct Address {
    info: ConnectionInfo,
    place: Place,
    connect_timeout: Duration,
    timeout: Duration,
}

#[derive(Clone)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Address {
    /// The address in `options`.
    pub(crate) fn new(options: &Options) -> Result<Self, WriteError> {
        let wrong = || {
            WriteError::options("option \"url\" is not the address of a redis server")
                .hint("url = \"redis://user:password@host:6379/0\"")
        };
        let scheme = options.url.split(':').next().unwrap_or_default();
        if matches!(scheme, "rediss" | "valkeys") {
            return Err(WriteError::rejected(format!(
                "option \"url\": connections by TLS ({scheme}://) are not built yet"
            ))
            .hint("let a TLS tunnel such as stunnel listen beside tahr: url = \"redis://127.0.0.1:6380\""));
        }
        let info = options
            .url
            .as_str()
            .into_connection_info()
            .map_err(|_| wrong())?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            _ => return Err(wrong()),
        };
        Ok(Self {
            info,
            place,
            connect_timeout: options.connect_timeout.0,
            timeout: options.timeout.0,
        })
    }

    /// The server's name for messages, without user and password.
    pub(crate) fn server(&self) -> String {
        match &self.place {
            Place::Tcp(host, port) => format!("{host}:{port}"),
            Place::Unix(path) => path.display().to_string(),
        }
    }

    fn connect(&self) -> io::Result<Stream> {
        let stream = match &self.place {
            Place::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Place::Tcp(host, port) => {
                let mut failed = io::Error::other("its name has no address");
                let mut connected = None;
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, self.connect_timeout) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            connected = Some(stream);
                            break;
                        }
                        Err(error) => failed = error,
                    }
                }
                Stream::Tcp(connected.ok_or(failed)?)
            }
        };
        stream.set_timeouts(self.timeout)?;
        Ok(stream)
    }
}

/// A socket.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn set_timeouts(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn shutdown(&self) {
        // It may be closed already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

/// Interrupts the connection from another thread.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Interrupted>);

#[derive(Default)]
struct Interrupted {
    is_cancelled: AtomicBool,
    stream: Mutex<Option<Stream>>,
}

impl Interrupt {
    /// Ends the call that is under way, and those that follow until
    /// [`Connection::reconnect`].
    pub(crate) fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::SeqCst);
        if let Some(stream) = &*self.stream() {
            stream.shutdown();
        }
    }

    fn stream(&self) -> std::sync::MutexGuard<'_, Option<Stream>> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server says of itself, and of this connection.
#[derive(Clone, Debug, Default)]
struct Session {
    run_id: String,
    client_id: Option<i64>,
}

/// One connection to Redis.
pub(crate) struct Connection {
    address: Address,
    open: Option<(Stream, Parser)>,
    interrupt: Interrupt,
    session: Session,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: Address) -> Result<Self, WriteError> {
        let mut connection = Self {
            address,
            open: None,
            interrupt: Interrupt::default(),
            session: Session::default(),
        };
        connection.reconnect()?;
        Ok(connection)
    }

    /// What interrupts it.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// The server's name for messages.
    pub(crate) fn server(&self) -> String {
        self.address.server()
    }

    /// Connects anew. What the old connection sent is then either done or never will be.
    pub(crate) fn reconnect(&mut self) -> Result<(), WriteError> {
        self.close();
        self.interrupt.0.is_cancelled.store(false, Ordering::SeqCst);
        let server = self.server();
        let stream = self.address.connect();
        let stream = stream.map_err(|error| error::of_io(&error, &server))?;
        let twin = stream.try_clone();
        *self.interrupt.stream() = Some(twin.map_err(|error| error::of_io(&error, &server))?);
        self.open = Some((stream, Parser::new()));
        self.greet()
    }

    fn greet(&mut self) -> Result<(), WriteError> {
        let settings = self.address.info.redis_settings().clone();
        if let Some(password) = settings.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            self.query::<()>(auth.arg(password))?;
        }
        if settings.db() != 0 {
            self.query::<()>(redis::cmd("SELECT").arg(settings.db()))?;
        }
        // Some services forbid these two; only comfort is lost.
        let _ = self.query::<()>(redis::cmd("CLIENT").arg("SETNAME").arg("tahr"));
        let client_id = self.query::<i64>(redis::cmd("CLIENT").arg("ID")).ok();
        let info: String = self.query(redis::cmd("INFO").arg("server"))?;
        if field(&info, "redis_mode") == Some("cluster") {
            return Err(WriteError::rejected(format!(
                "redis at {} is a Redis Cluster, which can't change a batch and its checkpoint \
                 in one step",
                self.server()
            ))
            .hint("let `url` name a single server"));
        }
        let run_id = field(&info, "run_id").unwrap_or_default().to_owned();
        if let Some(old) = self.session.client_id
            && run_id == self.session.run_id
        {
            // A stopped server may still have a call of the old connection before it: it must not
            // come after what this connection does.
            let mut kill = redis::cmd("CLIENT");
            let _ = self.query::<()>(kill.arg("KILL").arg("ID").arg(old));
        }
        self.session = Session { run_id, client_id };
        Ok(())
    }

    fn close(&mut self) {
        if let Some((stream, _)) = self.open.take() {
            stream.shutdown();
        }
        *self.interrupt.stream() = None;
    }

    /// Sends a command and reads its answer.
    pub(crate) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, WriteError> {
        self.send(&command.get_packed_command())?;
        T::from_redis_value(self.receive()?).map_err(|_| error::strange_answer("a command"))
    }

    /// Sends one or more packed commands.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(), WriteError> {
        let server = self.server();
        if self.interrupt.0.is_cancelled.load(Ordering::SeqCst) {
            return Err(WriteError::transient(format!(
                "connection to redis at {server}: cancelled"
            )));
        }
        let (stream, _) = self.open.as_mut().ok_or_else(|| closed(&server))?;
        stream.write_all(request).map_err(|error| {
            self.close();
            error::of_connection(&error.into(), &server)
        })
    }

    /// Reads the answer to one command.
    pub(crate) fn receive(&mut self) -> Result<Value, WriteError> {
        let server = self.server();
        let (stream, parser) = self.open.as_mut().ok_or_else(|| closed(&server))?;
        match parser.parse_value(stream) {
            Ok(Value::ServerError(error)) => Err(error::of_server(&error)),
            Ok(value) => Ok(value),
            Err(error) => {
                // What comes now could be the answer to this call, or to the next.
                self.close();
                Err(error::of_connection(&error, &server))
            }
        }
    }
}

fn closed(server: &str) -> WriteError {
    WriteError::transient(format!("connection to redis at {server}: closed"))
}

/// A field of what `INFO` answers.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
