//! Lua's patterns, matched in bounded work.
//!
//! The matcher of Lua's own library can't be interrupted, and takes time beyond all bounds for some
//! patterns. This one means the same and counts its steps.

#[cfg(test)]
mod tests;

/// As deep as Lua's own matcher goes.
const DEPTH: u32 = 200;
/// As many captures as Lua's own matcher takes.
const CAPTURES: usize = 32;

/// What a pattern matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The bytes it covers.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// What its parentheses caught.
    pub(super) captures: Vec<Capture>,
}

/// What one pair of parentheses caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// These bytes.
    Text(usize, usize),
    /// The place itself: `()`.
    Place(usize),
    /// Not closed yet.
    Open(usize),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The pattern means nothing.
    Malformed(String),
    /// All steps are used up.
    Endless,
}

fn malformed<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(format!("malformed pattern ({what})")))
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// The first byte to begin at.
    pub(super) from: usize,
    /// Whether `^` in front ties the match to `from`.
    pub(super) anchors: bool,
    /// A match that ends here doesn't count: the one before did.
    pub(super) not_at: Option<usize>,
}

/// The first match of `pattern` in `text`; takes what it costs from `steps`.
pub(super) fn find(
    text: &[u8],
    pattern: &[u8],
    search: Search,
    steps: &mut u64,
) -> Result<Option<Match>, Fault> {
    let (pattern, is_tied) = match pattern.strip_prefix(b"^") {
        Some(rest) if search.anchors => (rest, true),
        _ => (pattern, false),
    };
    let mut matcher = Matcher {
        text,
        pattern,
        captures: Vec::new(),
        depth: 0,
        steps,
    };
    for start in search.from..=text.len() {
        matcher.captures.clear();
        let found = matcher.run(start, 0)?;
        if let Some(end) = found.filter(|end| search.not_at != Some(*end)) {
            if matcher
                .captures
                .iter()
                .any(|c| matches!(c, Capture::Open(_)))
            {
                return malformed("a capture is not closed");
            }
            let captures = matcher.captures;
            return Ok(Some(Match {
                start,
                end,
                captures,
            }));
        }
        if is_tied {
            break;
        }
    }
    Ok(None)
}

struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    depth: u32,
    steps: &'a mut u64,
}

impl Matcher<'_> {
    fn step(&mut self) -> Result<(), Fault> {
        *self.steps = self.steps.checked_sub(1).ok_or(Fault::Endless)?;
        Ok(())
    }

    /// Matches the pattern from `p` on at `at`; says where the match ends.
    fn run(&mut self, at: usize, p: usize) -> Result<Option<usize>, Fault> {
        if self.depth == DEPTH {
            return Err(Fault::Malformed("pattern too complex".into()));
        }
        self.depth += 1;
        let end = self.go_on(at, p);
        self.depth -= 1;
        end
    }

    fn go_on(&mut self, mut at: usize, mut p: usize) -> Result<Option<usize>, Fault> {
        while p < self.pattern.len() {
            self.step()?;
            let next = self.pattern.get(p + 1).copied();
            match self.pattern[p] {
                b'(' if next == Some(b')') => return self.open(Capture::Place(at), at, p + 2),
                b'(' => return self.open(Capture::Open(at), at, p + 1),
                b')' => return self.close(at, p + 1),
                b'$' if next.is_none() => return Ok((at == self.text.len()).then_some(at)),
                b'%' if next == Some(b'b') => {
                    let Some(after) = self.balanced(at, p + 2)? else {
                        return Ok(None);
                    };
                    (at, p) = (after, p + 4);
                    continue;
                }
                b'%' if next == Some(b'f') => {
                    if self.pattern.get(p + 2) != Some(&b'[') {
                        return malformed("missing '[' after '%f'");
                    }
                    let end = self.item_end(p + 2)?;
                    let before = at.checked_sub(1).map_or(0, |before| self.text[before]);
                    let here = self.text.get(at).copied().unwrap_or(0);
                    if self.in_set(before, p + 2, end)? || !self.in_set(here, p + 2, end)? {
                        return Ok(None);
                    }
                    p = end;
                    continue;
                }
                b'%' if next.is_some_and(|next| next.is_ascii_digit()) => {
                    let Some(after) = self.again(at, next.unwrap_or(b'0'))? else {
                        return Ok(None);
                    };
                    (at, p) = (after, p + 2);
                    continue;
                }
                _ => {}
            }
            let end = self.item_end(p)?;
            let fits = self.fits(at, p, end)?;
            match self.pattern.get(end) {
                Some(b'*') => return self.most(at, p, end),
                Some(b'+') if fits => return self.most(at + 1, p, end),
                Some(b'-') => return self.least(at, p, end),
                Some(b'?') => {
                    if fits && let Some(found) = self.attempt(at + 1, end + 1)? {
                        return Ok(Some(found));
                    }
                    p = end + 1;
                }
                _ if fits => (at, p) = (at + 1, end),
                _ => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// As [`run`](Self::run), and what was caught is forgotten where it doesn't match.
    fn attempt(&mut self, at: usize, p: usize) -> Result<Option<usize>, Fault> {
        let caught = self.captures.clone();
        let found = self.run(at, p)?;
        if found.is_none() {
            self.captures = caught;
        }
        Ok(found)
    }

    /// As many as possible, then the rest.
    fn most(&mut self, at: usize, p: usize, end: usize) -> Result<Option<usize>, Fault> {
        let mut count = 0;
        while self.fits(at + count, p, end)? {
            self.step()?;
            count += 1;
        }
        loop {
            self.step()?;
            if let Some(found) = self.attempt(at + count, end + 1)? {
                return Ok(Some(found));
            }
            match count.checked_sub(1) {
                Some(fewer) => count = fewer,
                None => return Ok(None),
            }
        }
    }

    /// As few as possible, then the rest.
    fn least(&mut self, mut at: usize, p: usize, end: usize) -> Result<Option<usize>, Fault> {
        loop {
            self.step()?;
            if let Some(found) = self.attempt(at, end + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(at, p, end)? {
                return Ok(None);
            }
            at += 1;
        }
    }

    fn open(&mut self, capture: Capture, at: usize, p: usize) -> Result<Option<usize>, Fault> {
        if self.captures.len() == CAPTURES {
            return malformed("too many captures");
        }
        let before = self.captures.len();
        self.captures.push(capture);
        let found = self.run(at, p)?;
        if found.is_none() {
            self.captures.truncate(before);
        }
        Ok(found)
    }

    fn close(&mut self, at: usize, p: usize) -> Result<Option<usize>, Fault> {
        let open = |capture: &Capture| matches!(capture, Capture::Open(_));
        let Some(index) = self.captures.iter().rposition(open) else {
            return malformed("a capture is closed that was not opened");
        };
        let was = self.captures[index];
        if let Capture::Open(start) = was {
            self.captures[index] = Capture::Text(start, at);
        }
        let found = self.run(at, p)?;
        if found.is_none() {
            self.captures[index] = was;
        }
        Ok(found)
    }

    /// `%1`: what was caught, once more.
    fn again(&mut self, at: usize, digit: u8) -> Result<Option<usize>, Fault> {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        let Some(&Capture::Text(start, end)) = index.and_then(|index| self.captures.get(index))
        else {
            let number = char::from(digit);
            return Err(Fault::Malformed(format!(
                "invalid capture index %{number} in pattern"
            )));
        };
        let cost = (end - start) as u64 / 16;
        *self.steps = self.steps.checked_sub(cost).ok_or(Fault::Endless)?;
        let is_here = self.text[at..].starts_with(&self.text[start..end]);
        Ok(is_here.then_some(at + end - start))
    }

    /// `%bxy`: a balanced pair.
    fn balanced(&mut self, at: usize, p: usize) -> Result<Option<usize>, Fault> {
        let (Some(&first), Some(&last)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return malformed("missing arguments to '%b'");
        };
        if self.text.get(at) != Some(&first) {
            return Ok(None);
        }
        let mut open = 1;
        for place in at + 1..self.text.len() {
            self.step()?;
            let byte = self.text[place];
            if byte == last {
                open -= 1;
                if open == 0 {
                    return Ok(Some(place + 1));
                }
            } else if byte == first {
                open += 1;
            }
        }
        Ok(None)
    }

    /// Where the single-character item at `p` ends.
    fn item_end(&self, p: usize) -> Result<usize, Fault> {
        match self.pattern[p] {
            b'%' if p + 1 == self.pattern.len() => malformed("ends with '%'"),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut end = p + 1;
                if self.pattern.get(end) == Some(&b'^') {
                    end += 1;
                }
                // The first one may be `]` itself.
                loop {
                    end += match self.pattern.get(end) {
                        Some(b'%') => 2,
                        Some(_) => 1,
                        None => return malformed("missing ']'"),
                    };
                    match self.pattern.get(end) {
                        Some(b']') => return Ok(end + 1),
                        Some(_) => {}
                        None => return malformed("missing ']'"),
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the byte at `at` is what the item of the pattern wants.
    fn fits(&mut self, at: usize, p: usize, end: usize) -> Result<bool, Fault> {
        let Some(&byte) = self.text.get(at) else {
            return Ok(false);
        };
        Ok(match self.pattern[p] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end)?,
            other => other == byte,
        })
    }

    /// Whether the byte is in the set from `[` to `]`.
    fn in_set(&mut self, byte: u8, p: usize, end: usize) -> Result<bool, Fault> {
        let cost = (end - p) as u64 / 8;
        *self.steps = self.steps.checked_sub(cost).ok_or(Fault::Endless)?;
        let inner = &self.pattern[p + 1..end - 1];
        let (mut rest, is_in) = match inner.strip_prefix(b"^") {
            Some(rest) => (rest, false),
            None => (inner, true),
        };
        while let Some((&first, tail)) = rest.split_first() {
            rest = match (first, tail) {
                (b'%', [class, tail @ ..]) => {
                    if in_class(byte, *class) {
                        return Ok(is_in);
                    }
                    tail
                }
                (low, [b'-', high, tail @ ..]) => {
                    if (low..=*high).contains(&byte) {
                        return Ok(is_in);
                    }
                    tail
                }
                _ => {
                    if first == byte {
                        return Ok(is_in);
                    }
                    tail
                }
            };
        }
        Ok(!is_in)
    }
}

/// `%a` and the like; of any other the character itself.
fn in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}
