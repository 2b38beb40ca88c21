//! Any metric per site or subgroup: tables, worst group, gap, fairness differences.

mod fairness;
mod table;

pub use fairness::{
    GroupRates, Spread, demographic_parity, equal_opportunity_difference,
    equalized_odds_difference, group_rates,
};
pub use table::{GroupTable, GroupValue, group_rows};
