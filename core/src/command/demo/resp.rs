//! A small client of Redis: independent of the one that tahr's writer uses, since it is to judge.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::Error;

/// An answer of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Text(Vec<u8>),
    List(Vec<Self>),
    Nothing,
}

impl Answer {
    pub(super) fn into_list(self) -> Vec<Self> {
        if let Self::List(list) = self {
            list
        } else {
            Vec::new()
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        if let Self::Text(bytes) = self {
            bytes
        } else {
            Vec::new()
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) async fn connect(port: u16, password: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .map_err(failed)?;
        let mut client = Self(BufReader::with_capacity(1 << 16, stream));
        client.ask(&[&[b"AUTH", password.as_bytes()]]).await?;
        Ok(client)
    }

    /// Sends commands in one go; their answers, in order.
    pub(super) async fn ask(&mut self, commands: &[&[&[u8]]]) -> Result<Vec<Answer>, Error> {
        let mut request = Vec::new();
        for command in commands {
            request.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
            for word in *command {
                request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                request.extend_from_slice(word);
                request.extend_from_slice(b"\r\n");
            }
        }
        self.0.get_mut().write_all(&request).await.map_err(failed)?;
        let mut answers = Vec::with_capacity(commands.len());
        for _ in commands {
            answers.push(self.answer().await?);
        }
        Ok(answers)
    }

    async fn answer(&mut self) -> Result<Answer, Error> {
        // Lists that wait for the rest of their items, so that nesting needs no recursion.
        let mut open: Vec<(usize, Vec<Answer>)> = Vec::new();
        loop {
            let mut done = match self.item().await? {
                (b'*', count) if count > 0 => {
                    open.push((count.unsigned_abs() as usize, Vec::new()));
                    continue;
                }
                (b'*', _) => Answer::List(Vec::new()),
                (b'$', length) if length >= 0 => {
                    let mut bytes = vec![0; length.unsigned_abs() as usize + 2];
                    self.0.read_exact(&mut bytes).await.map_err(failed)?;
                    bytes.truncate(bytes.len() - 2);
                    Answer::Text(bytes)
                }
                _ => Answer::Nothing,
            };
            loop {
                match open.pop() {
                    None => return Ok(done),
                    Some((count, mut items)) => {
                        items.push(done);
                        if items.len() < count {
                            open.push((count, items));
                            break;
                        }
                        done = Answer::List(items);
                    }
                }
            }
        }
    }

    /// The kind of the next item, and its number.
    async fn item(&mut self) -> Result<(u8, i64), Error> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await.map_err(failed)? == 0 {
            return Err(Error::failed("redis has closed the connection"));
        }
        match line.as_bytes().first() {
            Some(b'-') => Err(Error::failed(format!(
                "redis answers: {}",
                line[1..].trim_end()
            ))),
            Some(&kind) => Ok((kind, line[1..].trim_end().parse().unwrap_or_default())),
            None => Ok((b'_', 0)),
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::failed("read from redis").caused_by(error)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn nested_and_empty_answers_are_read_to_their_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let text =
                b"+OK\r\n*2\r\n$1\r\n0\r\n*3\r\n$0\r\n\r\n*0\r\n$4\r\n\r\n\xff\0\r\n$-1\r\n:5\r\n";
            stream.write_all(text).await.unwrap();
            stream
        };
        let (client, _stream) = tokio::join!(Client::connect(port, "secret"), server);
        let answers = client
            .unwrap()
            .ask(&[&[b"A"], &[b"B"], &[b"C"]])
            .await
            .unwrap();
        let text = |bytes: &[u8]| Answer::Text(bytes.to_vec());
        let keys = Answer::List(vec![text(b""), Answer::List(vec![]), text(b"\r\n\xff\0")]);
        let scan = Answer::List(vec![text(b"0"), keys]);
        assert_eq!(answers, [scan, Answer::Nothing, Answer::Nothing]);
    }
}
