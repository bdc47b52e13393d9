//! What a plugin makes of each PostgreSQL type, as a table for people.

use std::fmt::Write as _;

use tahr_plugin_api::RuleTable;

use super::wrap;

/// What the columns are, and how wide they may become.
const COLUMNS: [(&str, usize); 4] = [
    ("PostgreSQL", 32),
    ("target", 28),
    ("form", 34),
    ("except", 34),
];

/// What stands above the table.
pub(super) fn title(table: &RuleTable) -> String {
    match table.setting.as_str() {
        "" => "values".to_owned(),
        setting => format!("values, with {setting}"),
    }
}

/// The rules, with the types that each is for. A column in which no rule says anything is left out.
pub(super) fn lines(table: &RuleTable) -> Vec<String> {
    let groups = table.groups();
    let [names_width, widths @ ..] = COLUMNS.map(|(_, width)| width);
    let cells = groups.iter().map(|(names, rule)| {
        let [target, form, except] = [&rule.target, &rule.form, &rule.except];
        let [target, form, except] = [(target, widths[0]), (form, widths[1]), (except, widths[2])]
            .map(|(text, width)| wrap(&text.replace('`', ""), width).collect::<Vec<_>>());
        let names = match groups.len() {
            1 => vec!["every type".to_owned()],
            _ => list(names, names_width),
        };
        [names, target, form, except]
    });
    let cells: Vec<[Vec<String>; 4]> = cells.collect();
    let shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|&column| cells.iter().any(|cells| !cells[column].is_empty()))
        .collect();
    let mut rows = vec![COLUMNS.map(|(name, _)| vec![name.to_owned()])];
    rows.extend(cells);
    let widths = COLUMNS.iter().enumerate().map(|(column, _)| {
        let lines = rows
            .iter()
            .flat_map(|cells: &[Vec<String>; 4]| &cells[column]);
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    });
    let widths: Vec<usize> = widths.collect();
    let mut lines = Vec::new();
    for cells in &rows {
        for part in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = String::new();
            for &column in &shown {
                let cell = cells[column].get(part).map_or("", String::as_str);
                let _ = write!(line, "{cell:<width$}  ", width = widths[column]);
            }
            lines.push(line.trim_end().to_owned());
        }
    }
    lines
}

/// The names with commas between them, in lines of about `width`; none is broken, as some are
/// several words.
fn list(names: &[&str], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            let _ = write!(line, "{name}{comma}");
        } else if line.chars().count() + 1 + name.chars().count() + comma.len() <= width {
            let _ = write!(line, " {name}{comma}");
        } else {
            lines.push(format!("{name}{comma}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::Rule;

    use super::*;

    #[test]
    fn types_of_one_rule_share_a_line_and_empty_columns_are_left_out() {
        let integer = Rule::exact("INTEGER");
        let table = RuleTable {
            setting: "unfit = \"null\"".to_owned(),
            rules: vec![
                ("smallint".to_owned(), integer.clone()),
                ("integer".to_owned(), integer.clone()),
                (
                    "date".to_owned(),
                    Rule::exact("DATE").except("infinity, and years before Christ or after 9999"),
                ),
                ("oid".to_owned(), integer),
            ],
        };
        assert_eq!(title(&table), "values, with unfit = \"null\"");
        assert_eq!(
            lines(&table),
            [
                "PostgreSQL              target   except",
                "date                    DATE     infinity, and years before Christ",
                "                                 or after 9999",
                "smallint, integer, oid  INTEGER",
            ]
        );
    }

    #[test]
    fn long_lists_of_types_are_wrapped() {
        let text = Rule::exact("TEXT");
        let names = [
            "timestamp without time zone",
            "timestamp with time zone",
            "interval",
        ];
        let mut rules = names.map(|name| (name.to_owned(), text.clone())).to_vec();
        rules.push(("oid".to_owned(), Rule::exact("INTEGER")));
        let table = RuleTable {
            setting: String::new(),
            rules,
        };
        assert_eq!(
            lines(&table),
            [
                "PostgreSQL                    target",
                "oid                           INTEGER",
                "timestamp without time zone,  TEXT",
                "timestamp with time zone,",
                "interval",
            ]
        );
    }
}
