//! Random values of every PostgreSQL type, as SQL expressions.
//!
//! Hard values (infinities, `24:00`, BC, texts that look like something else) come often, plain
//! random ones otherwise, and of types that have long values now and then one that PostgreSQL keeps
//! apart from its row (TOAST).

mod nested;
mod numbers;
mod own;
mod text;
mod times;

use std::sync::Arc;

use tahr_tests::Random;

pub(crate) use own::{SETUP as OWN_SETUP, own};

/// A type and how to make a value of it: SQL that is an expression of that type.
#[derive(Clone)]
pub(crate) struct Type {
    /// As a column is declared.
    pub(crate) name: String,
    /// The type that decides how a target holds it: a domain's is the type under it.
    pub(crate) base: String,
    make: Arc<dyn Fn(&mut Random) -> String + Send + Sync>,
}

impl Type {
    /// A type whose values `make` writes; they are cast to it.
    pub(crate) fn new(
        name: &str,
        make: impl Fn(&mut Random) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            base: name.to_owned(),
            make: Arc::new(make),
        }
    }

    /// Says of a domain which type is under it.
    fn over(mut self, base: &str) -> Self {
        base.clone_into(&mut self.base);
        self
    }

    /// Whether it is a domain.
    pub(crate) fn is_domain(&self) -> bool {
        self.name != self.base
    }

    /// A value, not null.
    pub(crate) fn value(&self, random: &mut Random) -> String {
        format!("({})::{}", (self.make)(random), self.name)
    }

    /// Arrays of it: empty ones, of one to three dimensions, with nulls, with odd bounds.
    pub(crate) fn array(self) -> Self {
        let name = format!("{}[]", self.name);
        Self::new(&name.clone(), move |random| {
            nested::array(random, &name, &mut |random| self.value(random))
        })
    }
}

/// All built-in types but arrays and ranges.
pub(crate) fn scalars() -> Vec<Type> {
    let mut types = numbers::types();
    types.extend(text::types());
    types.extend(times::types());
    types
}

/// Arrays of every built-in type, ranges and multiranges.
pub(crate) fn nested() -> Vec<Type> {
    // Those of vectors are arrays of arrays, and `[0:1]` to begin with.
    let is_vector = |kind: &Type| kind.name.ends_with("vector");
    let elements = scalars().into_iter().filter(|kind| !is_vector(kind));
    let arrays = elements.map(Type::array);
    arrays.chain(nested::types()).collect()
}

/// `text` as a string constant.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One of several texts.
fn one_of<'a>(random: &mut Random, choices: &[&'a str]) -> &'a str {
    let choice: &&'a str = random.pick(choices);
    choice
}

/// One of `corners` half of the time, as a string constant; else what `make` makes.
fn corner_or(
    random: &mut Random,
    corners: &[&str],
    make: impl FnOnce(&mut Random) -> String,
) -> String {
    if random.one_in(2) {
        quoted(one_of(random, corners))
    } else {
        make(random)
    }
}

/// A signed number of up to `bits` bits; small ones as often as large ones.
fn integer(random: &mut Random, bits: u64) -> i128 {
    let bits = random.below(bits) + 1;
    let wide = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    let number = i128::try_from(wide >> (128 - bits)).unwrap_or_default();
    if random.one_in(2) { -number } else { number }
}

/// A float by its bits, so any of them; NaN only now and then.
fn float(random: &mut Random) -> String {
    match random.below(4) {
        0 => one_of(random, &["NaN", "Infinity", "-Infinity", "-0", "0", "0.1"]).to_owned(),
        1 => integer(random, 40).to_string(),
        _ => loop {
            let number = f64::from_bits(random.next_u64());
            if number.is_finite() {
                break format!("{number:e}");
            }
        },
    }
}
