//! Cohorts, diagrams and tables.

use super::Files;

const MANIFEST: &str = "path,mask_path,label,site,patient,split,age,sex\n\
                        a.png,m.png,1,\"n, \"\"o\"\"\",p1,train,30,F\n\
                        x.npz#images/3,,0,s,p2,test,,M\n";

const DESCRIPTION: &str = "schema = 1\nmissing = [\"\", \"-\"]\n[label]\nclasses = [\"a\", \"b\"]\n\
                           [mask]\nvalues = [0, 1]\n[attributes]\ninputs = [\"age\"]\n";

const DIAGRAM: &str = "U -> X\nX -> M -> Y\nX <-> Y\n";

const MARKED: &str = "A o-> B\nB --> C\nA <-> C\n";

const DOT: &str =
    "digraph g {\n  X -> M -> Y;\n  U [latent=true];\n  \"a b\" -> X [color=red];\n}\n";

const DAGITTY: &str = "dag { X [exposure] Y [outcome] U [latent] X -> Y U -> X U -> Y Z <-> X }";

const TOML: &str = "nodes = [\"X\", \"Y\"]\nedges = [\"X -> Y\"]\n";

const JSON: &str = r#"{"nodes":["X","Y"],"directed":[["X","Y"]],"bidirected":[["X","Y"]]}"#;

const TABLE: &str = "a,b,c\n1,2.5,x\n3,-1e9,\"y, z\"\n,nan,x\n";

const VECTORS: &str =
    r#"{"cases":[{"value":[1.5,NaN,Infinity,-Infinity,-0.0]},null,true,"\u00e9"]}"#;

pub(crate) fn all() -> Vec<(&'static str, Files)> {
    let cohort = format!("{MANIFEST}\0{DESCRIPTION}");
    let texts = [
        ("cohort", cohort.as_str()),
        ("diagram_text", DIAGRAM),
        ("diagram_marked", MARKED),
        ("diagram_dot", DOT),
        ("diagram_dagitty", DAGITTY),
        ("diagram_toml", TOML),
        ("diagram_json", JSON),
        ("table_csv", TABLE),
        ("vector_json", VECTORS),
    ];
    let files = |text: &str| vec![("hand".to_owned(), text.as_bytes().to_vec())];
    texts.map(|(target, text)| (target, files(text))).into()
}
