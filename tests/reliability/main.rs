//! Whether a run survives what happens to runs: the rows of the table in `README.md` beside this file.

mod supply_chain;
