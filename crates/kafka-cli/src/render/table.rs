//! Tables, wide tables, CSV and lists of names: what people see of documents.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::Format;
use crate::printable;

/// One column of a table over rows of type `R`.
pub struct Column<R> {
    title: &'static str,
    right: bool,
    wide: bool,
    cell: Box<dyn Fn(&R) -> String>,
}

impl<R> Column<R> {
    /// A column with an upper-case title.
    pub fn new(title: &'static str, cell: impl Fn(&R) -> String + 'static) -> Self {
        Self { title, right: false, wide: false, cell: Box::new(cell) }
    }

    /// Aligned to the right, for numbers.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Shown with `-o wide` and in CSV only.
    #[must_use]
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }
}

#[derive(Debug, Clone, Copy)]
struct Head {
    title: &'static str,
    right: bool,
    wide: bool,
}

/// A table whose cells are made.
#[derive(Debug, Default)]
pub struct Table {
    heads: Vec<Head>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The table of `rows`.
    pub fn of<'a, R: 'a>(columns: &[Column<R>], rows: impl IntoIterator<Item = &'a R>) -> Self {
        let head = |column: &Column<R>| Head { title: column.title, right: column.right, wide: column.wide };
        let cells = |row: &R| columns.iter().map(|column| (column.cell)(row)).collect();
        Self { heads: columns.iter().map(head).collect(), rows: rows.into_iter().map(cells).collect() }
    }

    fn write(&self, out: &mut dyn Write, wide: bool) -> io::Result<()> {
        let shown: Vec<usize> = (0..self.heads.len()).filter(|i| wide || !self.heads[*i].wide).collect();
        let rows: Vec<Vec<_>> =
            self.rows.iter().map(|row| shown.iter().map(|i| printable(&row[*i])).collect()).collect();
        let width = |at: usize| {
            let title = self.heads[shown[at]].title.width();
            rows.iter().map(|row| row[at].width()).max().unwrap_or(0).max(title)
        };
        let widths: Vec<usize> = (0..shown.len()).map(width).collect();
        let titles: Vec<_> = shown.iter().map(|i| self.heads[*i].title.into()).collect();
        for row in std::iter::once(&titles).chain(&rows) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[at] - cell.width());
                let (before, after) =
                    if self.heads[shown[at]].right { (&*padding, "") } else { ("", &*padding) };
                line.extend([if at > 0 { "  " } else { "" }, before, cell, after]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles = self.heads.iter().map(|head| head.title.to_lowercase().replace([' ', '-'], "_"));
        write_csv_line(out, titles)?;
        self.rows.iter().try_for_each(|row| write_csv_line(out, row.iter().cloned()))
    }
}

fn write_csv_line(out: &mut dyn Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    for (at, field) in fields.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        if field.contains([',', '"', '\n', '\r']) {
            write!(out, "{comma}\"{}\"", field.replace('"', "\"\""))?;
        } else {
            write!(out, "{comma}{field}")?;
        }
    }
    writeln!(out)
}

/// A part of what people see.
#[derive(Debug)]
pub enum Block {
    /// A line of its own.
    Line(String),
    /// Labels and values.
    Facts(Vec<(&'static str, String)>),
    /// A table.
    Table(Table),
}

/// All that people see of documents, and their names for `-o name`. CSV is the first table, unless another one is given.
#[derive(Debug, Default)]
pub struct View {
    blocks: Vec<Block>,
    names: Vec<String>,
    csv: Option<Table>,
}

impl View {
    /// One table.
    #[must_use]
    pub fn table(table: Table) -> Self {
        Self::default().and(Block::Table(table))
    }

    /// With one more part below.
    #[must_use]
    pub fn and(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// With what `-o name` shows.
    #[must_use]
    pub fn named(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names = names.into_iter().collect();
        self
    }

    /// With a table of its own for CSV, where people see several.
    #[must_use]
    pub fn csv(mut self, table: Table) -> Self {
        self.csv = Some(table);
        self
    }

    pub(super) fn write(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        match format {
            Format::Name => self.names.iter().try_for_each(|name| writeln!(out, "{}", printable(name))),
            Format::Csv => match self.csv.as_ref().or_else(|| self.blocks.iter().find_map(Block::as_table)) {
                Some(table) => table.write_csv(out),
                None => Ok(()),
            },
            _ => self.blocks.iter().enumerate().try_for_each(|(at, block)| {
                if at > 0 && !matches!(block, Block::Line(_)) {
                    writeln!(out)?;
                }
                block.write(out, format == Format::Wide)
            }),
        }
    }
}

impl Block {
    fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    fn write(&self, out: &mut dyn Write, wide: bool) -> io::Result<()> {
        match self {
            Self::Line(line) => writeln!(out, "{}", printable(line)),
            Self::Facts(facts) => {
                let width = facts.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
                facts.iter().try_for_each(|(label, value)| {
                    let padding = " ".repeat(width - label.width());
                    writeln!(out, "{}", format!("{label}:{padding} {}", printable(value)).trim_end())
                })
            }
            Self::Table(table) => table.write(out, wide),
        }
    }
}
