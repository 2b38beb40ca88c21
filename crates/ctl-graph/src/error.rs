//! The error type of graphs and of every query on them.

/// How many names an error lists before it only counts them.
const NAMES_SHOWN: usize = 8;

/// Why a graph, or a query on one, is not admissible.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
///
/// let fault = |text| Diagram::parse(text).unwrap_err().to_string();
/// assert_eq!(fault("x -> y; x -> y"), "edge x -> y: given twice");
/// assert_eq!(fault("x -> y -> z -> x"), "edges x -> y -> z -> x: form a cycle");
/// assert_eq!(fault("x <-> x"), "edge x <-> x: joins a node with itself");
/// let diagram = Diagram::parse("x -> y")?;
/// assert_eq!(diagram.node("z").unwrap_err().to_string(), "node z: not in the graph, which has x, y");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A name that no node has.
    #[error("node {name}: not in the graph, which has {known}")]
    UnknownNode {
        /// The name that was given.
        name: String,
        /// The names there are, shortened.
        known: String,
    },
    /// A node index beyond the graph's last.
    #[error("node index {index}: expected an index below {size}")]
    ForeignNode {
        /// The index that was given.
        index: usize,
        /// Number of nodes of the graph.
        size: usize,
    },
    /// A node without a name.
    #[error("node: expected a name, found an empty one")]
    EmptyName,
    /// Two nodes of one name.
    #[error("node {name}: declared twice")]
    DuplicateNode {
        /// The name.
        name: String,
    },
    /// An edge that is there already.
    #[error("edge {edge}: given twice")]
    DuplicateEdge {
        /// The edge as text.
        edge: String,
    },
    /// An edge from a node to itself.
    #[error("edge {edge}: joins a node with itself")]
    SelfLoop {
        /// The edge as text.
        edge: String,
    },
    /// Directed edges that lead back to their beginning.
    #[error("edges {edges}: form a cycle")]
    Cycle {
        /// The cycle as text, its first node repeated at the end.
        edges: String,
    },
    /// Two sets that must be disjoint share nodes.
    #[error("{first} and {second}: expected disjoint sets, found {nodes} in both")]
    Overlap {
        /// The first set.
        first: &'static str,
        /// The second set.
        second: &'static str,
        /// What they share.
        nodes: String,
    },
    /// A set that needs a member has none.
    #[error("{subject}: expected at least one node, found none")]
    EmptySet {
        /// The set.
        subject: &'static str,
    },
    /// A method for one class of graphs met an edge of another.
    #[error("edge {edge}: {expected}")]
    WrongEdge {
        /// The edge as text.
        edge: String,
        /// What the method needs.
        expected: &'static str,
    },
    /// Text that is not of its format.
    #[error("{format}, line {line}, column {column}: expected {expected}, found {found}")]
    Parse {
        /// The format.
        format: &'static str,
        /// Line, from one.
        line: usize,
        /// Column in characters, from one.
        column: usize,
        /// What would have been in order.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A field of a file outside its range.
    #[error("{key}: expected {expected}, found {found}")]
    InvalidValue {
        /// The key.
        key: String,
        /// The allowed values.
        expected: String,
        /// The value that was given.
        found: String,
    },
    /// A diagram file that is not TOML or has unknown keys.
    #[error("diagram file: not readable as a diagram")]
    File {
        /// What the TOML reader says, with line and column.
        #[source]
        source: toml::de::Error,
    },
    /// An enumeration that met its limit before it was complete.
    #[error("{subject}: more than the limit of {limit}")]
    Limit {
        /// What was enumerated.
        subject: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Joins names, shortening a long list.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let total = names.len();
    let shown: Vec<&str> = names.take(NAMES_SHOWN).collect();
    match total {
        0 => "no nodes".to_owned(),
        _ if total <= NAMES_SHOWN => shown.join(", "),
        _ => format!("{}, … ({total} in all)", shown.join(", ")),
    }
}
