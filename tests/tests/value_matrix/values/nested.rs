//! Arrays, ranges and multiranges.

use tahr_tests::Random;

use super::{Type, integer, quoted};

/// An array of type `name` of what `element` makes.
pub(super) fn array(
    random: &mut Random,
    name: &str,
    element: &mut dyn FnMut(&mut Random) -> String,
) -> String {
    let dimensions = random.below(4);
    if dimensions == 0 {
        return "'{}'".to_owned();
    }
    let lengths: Vec<u64> = (0..dimensions).map(|_| 1 + random.below(3)).collect();
    let items = items(random, &lengths, element);
    let array = format!("{items}::{name}");
    if !random.one_in(3) {
        return array;
    }
    // PostgreSQL writes bounds that don't begin at 1 before the array.
    let bounds: String = lengths
        .iter()
        .map(|&length| {
            let first = integer(random, 4);
            format!("[{first}:{}]", first + i128::from(length) - 1)
        })
        .collect();
    format!("({} || ({array})::text)", quoted(&format!("{bounds}=")))
}

fn items(
    random: &mut Random,
    lengths: &[u64],
    element: &mut dyn FnMut(&mut Random) -> String,
) -> String {
    let Some((&length, rest)) = lengths.split_first() else {
        return if random.one_in(5) {
            "NULL".to_owned()
        } else {
            element(random)
        };
    };
    let items: Vec<String> = (0..length).map(|_| items(random, rest, element)).collect();
    format!("ARRAY[{}]", items.join(", "))
}

/// Makes an end of a range.
type Bound = fn(&mut Random) -> String;

pub(super) fn types() -> Vec<Type> {
    let ranges: [(&str, &str, Bound); 6] = [
        ("int4", "int4", |random| {
            format!("({})", integer(random, 31))
        }),
        ("int8", "int8", |random| {
            format!("({})", integer(random, 63))
        }),
        ("num", "numeric", |random| {
            let scale = random.below(4);
            format!("round({}::numeric / 1000, {scale})", integer(random, 40))
        }),
        ("ts", "timestamp", moment),
        ("tstz", "timestamptz", moment),
        ("date", "date", |random| match random.below(4) {
            0 => "'infinity'::date".to_owned(),
            _ => format!("('2000-01-01'::date + ({}))", integer(random, 19)),
        }),
    ];
    let mut types = Vec::new();
    for (prefix, element, bound) in ranges {
        let range = format!("{prefix}range");
        let make = {
            let range = range.clone();
            move |random: &mut Random| make_range(random, &range, element, bound)
        };
        let multirange = {
            let make = make.clone();
            let name = format!("{prefix}multirange");
            Type::new(&name.clone(), move |random| {
                let ranges: Vec<String> = (0..random.below(4)).map(|_| make(random)).collect();
                format!("{name}({})", ranges.join(", "))
            })
        };
        types.push(Type::new(&range, make.clone()));
        types.push(multirange);
        types.push(Type::new(&range, make).array());
    }
    types
}

fn moment(random: &mut Random) -> String {
    match random.below(6) {
        0 => "'infinity'".to_owned(),
        1 => "'-infinity'".to_owned(),
        2 => "'0044-03-15 01:02:03 BC'".to_owned(),
        _ => format!(
            "('2000-01-01'::date + ({}) + time '01:02:03.004')",
            integer(random, 19)
        ),
    }
}

/// A range of type `range`; an end may be missing.
pub(super) fn make_range(random: &mut Random, range: &str, element: &str, bound: Bound) -> String {
    if random.one_in(8) {
        return format!("'empty'::{range}");
    }
    let mut end = |name: &str| match random.below(6) {
        0 => "NULL".to_owned(),
        _ => format!(
            "{name}(({})::{element}, ({})::{element})",
            bound(random),
            bound(random)
        ),
    };
    let (low, high) = (end("least"), end("greatest"));
    let bounds = random.pick(&["[)", "(]", "[]", "()"]);
    // Ends made apart from each other may be the wrong way round.
    let (low_end, high_end) = (
        format!("least({low}, {high})"),
        format!("greatest({low}, {high})"),
    );
    let low_end = if low == "NULL" { low } else { low_end };
    let high_end = if high == "NULL" { high } else { high_end };
    format!("{range}({low_end}, {high_end}, '{bounds}')")
}
