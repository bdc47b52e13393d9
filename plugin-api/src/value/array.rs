//! PostgreSQL's array literals.

use std::borrow::Cow;

/// The most dimensions that PostgreSQL allows.
const MAX_DIMENSIONS: usize = 6;

/// An array, taken apart from its literal, such as `{1,NULL,"two words"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Array<'a> {
    /// Its items; arrays of one dimension less where it has several.
    pub items: Vec<ArrayItem<'a>>,
    /// The index of the first item in each dimension. Usually 1 and not printed;
    /// `[2:3]={a,b}` starts at 2. Empty for the empty array, which has no dimension.
    pub lower_bounds: Vec<i32>,
}

/// One item of an [`Array`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArrayItem<'a> {
    /// SQL's NULL, printed without quotes; `"NULL"` is a text.
    Null,
    /// The item's own text, without quotes and escapes.
    Text(Cow<'a, str>),
    /// The items of the next dimension.
    Array(Vec<Self>),
}

impl<'a> Array<'a> {
    /// Parses what PostgreSQL prints; none for anything else.
    ///
    /// ```
    /// use tahr_plugin_api::{Array, ArrayItem};
    /// let array = Array::parse(r#"{NULL,"a \"b\""}"#).unwrap();
    /// assert_eq!(array.items, [ArrayItem::Null, ArrayItem::Text(r#"a "b""#.into())]);
    /// ```
    #[must_use]
    pub fn parse(literal: &'a str) -> Option<Self> {
        Self::parse_delimited(literal, b',')
    }

    /// Like [`parse`](Self::parse), for element types with another delimiter: `box` alone among
    /// the built-in ones, which has `;`.
    #[must_use]
    pub fn parse_delimited(literal: &'a str, delimiter: u8) -> Option<Self> {
        let (bounds, body) = match literal.strip_prefix('[') {
            Some(rest) => {
                let (bounds, body) = rest.split_once("]=")?;
                (Some(bounds), body)
            }
            None => (None, literal),
        };
        if body == "{}" {
            return bounds.is_none().then(Self::default);
        }
        let mut parser = Parser {
            text: body,
            delimiter,
            lengths: Vec::new(),
            items_at: None,
        };
        let items = parser.items(0)?;
        if !parser.text.is_empty() {
            return None;
        }
        let lengths = parser.lengths.into_iter().collect::<Option<Vec<_>>>()?;
        let lower_bounds = match bounds {
            Some(bounds) => lower_bounds(bounds, &lengths)?,
            None => vec![1; lengths.len()],
        };
        Some(Self {
            items,
            lower_bounds,
        })
    }

    /// Whether every dimension starts at 1, as it does unless someone asked for something else.
    #[must_use]
    pub fn starts_at_one(&self) -> bool {
        self.lower_bounds.iter().all(|&bound| bound == 1)
    }
}

/// `2:3][1:4`: the bounds of each dimension, which must agree with what was found.
fn lower_bounds(bounds: &str, lengths: &[usize]) -> Option<Vec<i32>> {
    let mut lower_bounds = Vec::with_capacity(lengths.len());
    for (index, bound) in bounds.split("][").enumerate() {
        let (lower, upper) = bound.split_once(':')?;
        let (lower, upper) = (lower.parse::<i32>().ok()?, upper.parse::<i32>().ok()?);
        let length = i64::from(upper) - i64::from(lower) + 1;
        if i64::try_from(*lengths.get(index)?).ok()? != length {
            return None;
        }
        lower_bounds.push(lower);
    }
    (lower_bounds.len() == lengths.len()).then_some(lower_bounds)
}

struct Parser<'a> {
    /// What is left.
    text: &'a str,
    delimiter: u8,
    /// How many items each dimension has, as soon as one of its arrays was read to its end:
    /// the others must have as many.
    lengths: Vec<Option<usize>>,
    /// The dimension that holds texts and nulls: the same in every branch.
    items_at: Option<usize>,
}

impl<'a> Parser<'a> {
    /// The items of one pair of braces.
    fn items(&mut self, dimension: usize) -> Option<Vec<ArrayItem<'a>>> {
        // Recursion goes no deeper than this.
        if dimension == MAX_DIMENSIONS {
            return None;
        }
        if self.lengths.len() == dimension {
            self.lengths.push(None);
        }
        self.take(b'{').then_some(())?;
        let mut items = Vec::new();
        loop {
            items.push(self.item(dimension)?);
            if self.take(b'}') {
                break;
            }
            self.take(self.delimiter).then_some(())?;
        }
        let length = self.lengths.get_mut(dimension)?;
        (*length.get_or_insert(items.len()) == items.len()).then_some(items)
    }

    fn item(&mut self, dimension: usize) -> Option<ArrayItem<'a>> {
        if self.text.starts_with('{') {
            return self.items(dimension + 1).map(ArrayItem::Array);
        }
        if *self.items_at.get_or_insert(dimension) != dimension {
            return None;
        }
        if self.take(b'"') {
            return self.quoted().map(ArrayItem::Text);
        }
        let end = self
            .text
            .bytes()
            .position(|byte| byte == self.delimiter || byte == b'}')?;
        let (item, rest) = self.text.split_at_checked(end)?;
        // PostgreSQL quotes an item that is empty or holds any of these.
        if item.is_empty() || item.contains(['{', '"', '\\']) {
            return None;
        }
        self.text = rest;
        Some(if item.eq_ignore_ascii_case("NULL") {
            ArrayItem::Null
        } else {
            ArrayItem::Text(Cow::Borrowed(item))
        })
    }

    /// The rest of a quoted item, whose opening quote is taken.
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let mut unescaped = String::new();
        loop {
            let end = self
                .text
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\')?;
            let (part, rest) = self.text.split_at_checked(end)?;
            self.text = rest;
            if self.take(b'"') {
                return Some(if unescaped.is_empty() {
                    Cow::Borrowed(part)
                } else {
                    unescaped.push_str(part);
                    Cow::Owned(unescaped)
                });
            }
            // A backslash, and the character that it stands before.
            let mut characters = self.text.chars();
            let escaped = characters.nth(1)?;
            unescaped.push_str(part);
            unescaped.push(escaped);
            self.text = characters.as_str();
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.text.as_bytes().first() == Some(&byte) && byte.is_ascii();
        if taken {
            self.text = self.text.get(1..).unwrap_or_default();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Array, ArrayItem};

    fn text(text: &str) -> ArrayItem<'_> {
        ArrayItem::Text(text.into())
    }

    fn items(literal: &str) -> Vec<ArrayItem<'_>> {
        Array::parse(literal).expect(literal).items
    }

    #[test]
    fn items_lose_their_quotes_and_escapes() {
        assert_eq!(items("{}"), []);
        assert_eq!(items("{1,-2.5,t}"), [text("1"), text("-2.5"), text("t")]);
        assert_eq!(
            items(r#"{"","a b","{,}"}"#),
            [text(""), text("a b"), text("{,}")]
        );
        assert_eq!(
            items(r#"{"a\"b","\\","ü\"😀"}"#),
            [text("a\"b"), text("\\"), text("ü\"😀")]
        );
        assert_eq!(
            items("{\"2020-01-01 00:00:00\"}"),
            [text("2020-01-01 00:00:00")]
        );
        assert_eq!(items(r#"{"\\x00ff"}"#), [text("\\x00ff")]);
    }

    #[test]
    fn null_is_told_from_its_name() {
        assert_eq!(
            items(r#"{NULL,"NULL","null"}"#),
            [ArrayItem::Null, text("NULL"), text("null")]
        );
    }

    #[test]
    fn plain_items_are_borrowed() {
        for item in items(r#"{plain,"two words"}"#) {
            assert!(
                matches!(item, ArrayItem::Text(Cow::Borrowed(_))),
                "{item:?}"
            );
        }
    }

    #[test]
    fn dimensions_nest_and_keep_their_bounds() {
        let array = Array::parse(r#"[-1:0][5:6]={{a,NULL},{c,"d e"}}"#).unwrap();
        let rows = [
            vec![text("a"), ArrayItem::Null],
            vec![text("c"), text("d e")],
        ];
        assert_eq!(array.items, rows.map(ArrayItem::Array));
        assert_eq!(
            (array.lower_bounds.as_slice(), array.starts_at_one()),
            (&[-1, 5][..], false)
        );

        let array = Array::parse("{{{{{{1,2}}}}}}").unwrap();
        assert_eq!(
            (array.lower_bounds.as_slice(), array.starts_at_one()),
            (&[1; 6][..], true)
        );
        assert!(Array::parse("{}").unwrap().lower_bounds.is_empty());
    }

    #[test]
    fn boxes_have_a_delimiter_of_their_own() {
        let array = Array::parse_delimited("{(1,1),(0,0);(3,3),(2,2)}", b';').unwrap();
        assert_eq!(array.items, [text("(1,1),(0,0)"), text("(3,3),(2,2)")]);
    }

    #[test]
    fn what_postgresql_would_not_print_is_refused() {
        let wrong = [
            "",
            "{",
            "}",
            "{,}",
            "{a,}",
            "{a",
            "{a}}",
            "a",
            "{\"a}",
            "{\"a\"b}",
            "{a\"b\"}",
            "{a\\,b}",
            "{\"a\\",
            "{{a},b}",
            "{a,{b}}",
            "{{a},{b,c}}",
            "{{a},{{b}}}",
            "{{}}",
            "{a} ",
            "{{{{{{{1}}}}}}}",
            "[1:2]={a}",
            "[1:1]={}",
            "[1:1][1:1]={a}",
            "[1]={a}",
            "[x:1]={a}",
            "[1:1={a}",
            "[1:1]{a}",
            "[2147483647:-2147483648]={a}",
        ];
        for literal in wrong {
            assert_eq!(Array::parse(literal), None, "{literal}");
        }
        let deep = "{".repeat(1_000_000);
        assert_eq!(Array::parse(&deep), None);
    }
}
