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

/// Data sets in other layouts, by the byte that chooses the layout; then files with a zero byte
/// between them, the last of which names the images.
const IMPORTS: [(&str, u8, &[&str]); 7] = [
    ("bids", 0, &[BIDS, PARTICIPANTS, SIDECAR, BIDS_IMAGES]),
    ("bids-masks", 1, &[BIDS, PARTICIPANTS, SIDECAR, BIDS_IMAGES]),
    ("nnunet", 2, &[NNUNET, SPLITS, NNUNET_IMAGES]),
    (
        "nnunet-first",
        2,
        &[
            NNUNET_FIRST,
            "",
            "imagesTr/a_0000.nii.gz\nlabelsTr/a.nii.gz",
        ],
    ),
    (
        "table",
        3,
        &[
            "path,label,site\na.png,1,n\nsub/b.png,0,\"s, t\"\n",
            "a.png\nsub/b.png",
        ],
    ),
    (
        "table-renamed",
        4,
        &[
            "Image Index,Finding,age\na,ill,30\nb,well,\n",
            "a.png\nb.png",
        ],
    ),
    (
        "tree",
        5,
        &["train/ill/a.png\ntest/well/b.png\ntest/ill/c.txt"],
    ),
];

const BIDS: &str = r#"{"Name":"simulated","BIDSVersion":"1.10.0","License":"CC0"}"#;

const PARTICIPANTS: &str = "participant_id\tage\tsex\tsite\nsub-01\t30\tF\tn\nsub-02\tn/a\tM\ts\n";

const SIDECAR: &str = r#"{"EchoTime":0.03,"ImageType":["ORIGINAL","PRIMARY"],"Nested":{"a":null}}"#;

const BIDS_IMAGES: &str = "sub-01/anat/sub-01_T1w.nii\nsub-02/anat/sub-02_T1w.nii\n\
                           derivatives/p/sub-01/anat/sub-01_desc-brain_mask.nii";

const NNUNET: &str = r#"{"channel_names":{"0":"T1","1":"FLAIR"},"labels":{"background":0,"a":1},
"numTraining":1,"file_ending":".nii"}"#;

const NNUNET_FIRST: &str =
    r#"{"modality":{"0":"CT"},"labels":{"0":"background","1":"a"},"numTraining":1}"#;

const SPLITS: &str = r#"[{"train":["a"],"val":[]}]"#;

const NNUNET_IMAGES: &str = "imagesTr/a_0000.nii\nimagesTr/a_0001.nii\nlabelsTr/a.nii\nimagesTs/b_0000.nii\nimagesTs/b_0001.nii";

/// The data sets of [`IMPORTS`].
pub(crate) fn imports() -> Files {
    let input = |layout: u8, parts: &[&str]| [&[layout][..], parts.join("\0").as_bytes()].concat();
    let named = IMPORTS.map(|(name, layout, parts)| (name.to_owned(), input(layout, parts)));
    named.into()
}

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
