use futures::{StreamExt, stream};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

/// A body that comes in pieces cut at these places.
fn pieces(bytes: &[u8], cuts: &[usize]) -> Body {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let parts: Vec<_> =
        cuts.windows(2).map(|w| Ok(Bytes::copy_from_slice(&bytes[w[0]..w[1]]))).collect();
    stream::iter(parts).boxed()
}

fn whole(bytes: &[u8]) -> Body {
    pieces(bytes, &[])
}

fn cut_off(bytes: &[u8]) -> Body {
    whole(bytes).chain(stream::iter([Err(Broken::Network("reset".into()))])).boxed()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

async fn rows(body: Body) -> Result<Vec<Vec<String>>, Broken> {
    let mut csv = Csv::open(body, b',').await?;
    let mut rows = vec![csv.headers().map(str::to_owned).collect()];
    while let Some(row) = csv.next().await? {
        rows.push(row.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
    }
    assert_eq!(csv.rows() as usize, rows.len() - 1);
    Ok(rows)
}

async fn lines(body: Body) -> Result<Vec<String>, Broken> {
    let mut lines = JsonLines::new(body);
    let mut all = Vec::new();
    while let Some(line) = lines.next().await? {
        all.push(String::from_utf8(line.to_vec()).unwrap());
    }
    assert_eq!(lines.rows() as usize, all.len());
    Ok(all)
}

async fn bytes(mut body: Body) -> Result<Vec<u8>, Broken> {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    run(async {
        let mut encoder = async_compression::tokio::write::GzipEncoder::new(Vec::new());
        encoder.write_all(bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    })
}

fn is_broken<T>(result: Result<T, Broken>) -> bool {
    matches!(result, Err(Broken::Network(_)))
}

/// Writes cells as CSV, each quoted.
fn csv_text(rows: &[Vec<String>]) -> String {
    let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
    rows.iter().map(|row| line(row) + "\n").collect()
}

#[test]
fn cells_are_kept_as_they_are() {
    let file =
        "\u{feff}Id,Name,Note\r\n1,NA,\"two\r\nlines, \"\"quoted\"\"\"\r\n2,null, \r\n3,,NaN\r\n";
    let rows = run(rows(whole(file.as_bytes()))).unwrap();
    assert_eq!(
        rows,
        [
            vec!["Id", "Name", "Note"],
            vec!["1", "NA", "two\r\nlines, \"quoted\""],
            vec!["2", "null", " "],
            vec!["3", "", "NaN"],
        ]
    );
}

#[test]
fn a_byte_order_mark_is_dropped_however_it_is_cut() {
    for file in ["\u{feff}Id\n1\n", "\u{feff}\u{feff}Id\n1\n"] {
        for cut in 0..8 {
            let rows = run(rows(pieces(file.as_bytes(), &[cut, 3]))).unwrap();
            assert_eq!(rows, [["Id"], ["1"]]);
        }
    }
}

#[test]
fn rows_become_json_by_the_conversion_of_their_column() {
    let file = "Id,Name,Amount,Count,Active,Left,Tags\n\
                1,\"a \"\"b\"\"\n\u{1F600}\",12345678901234567890.10,12.0,TRUE,x,[1]\n\
                2,NA,1e5,-3,false,x,\n\
                ,null,.5,1.5,maybe,x,[1\n\
                3,\u{0}, ,,,,{}\n";
    let members = vec![
        Member::cell("Id", 0, column::text),
        Member::cell("full \"name\"", 1, column::text),
        Member::cell("Amount", 2, column::number),
        Member::cell("Count", 3, column::integer),
        Member::cell("Active", 4, column::boolean),
        Member::cell("Tags", 6, column::json),
    ];
    let json = run(async {
        let mut csv = Csv::open(whole(file.as_bytes()), b',').await.unwrap();
        let mut writer = RowWriter::new(members);
        let mut all = Vec::new();
        while let Some(row) = csv.next().await.unwrap() {
            all.push(String::from_utf8(writer.json(row).to_vec()).unwrap());
        }
        all
    });
    assert_eq!(
        json,
        [
            r#"{"Id":"1","full \"name\"":"a \"b\"\n😀","Amount":12345678901234567890.10,"Count":12,"Active":true,"Tags":[1]}"#,
            r#"{"Id":"2","full \"name\"":"NA","Amount":1e5,"Count":-3,"Active":false,"Tags":null}"#,
            r#"{"Id":null,"full \"name\"":"null","Amount":".5","Count":1.5,"Active":"maybe","Tags":"[1"}"#,
            r#"{"Id":"3","full \"name\"":"\u0000","Amount":" ","Count":null,"Active":null,"Tags":{}}"#,
        ]
    );
}

#[test]
fn objects_and_texts_are_made_of_cells() {
    let file = "Id,Street,Lat\n1,\"a\"\"b\",1.50\n2,,\n,,2\n";
    let place = vec![
        Member::cell("street", 1, column::text),
        Member::cell("latitude", 2, column::number),
        Member::null("code"),
    ];
    let members = vec![Member::object("Place", place), Member::around("Url", "/x/", 0, "/\"Body")];
    let json = run(async {
        let mut csv = Csv::open(whole(file.as_bytes()), b',').await.unwrap();
        let mut writer = RowWriter::new(members);
        let mut all = Vec::new();
        while let Some(row) = csv.next().await.unwrap() {
            all.push(String::from_utf8(writer.json(row).to_vec()).unwrap());
        }
        all
    });
    assert_eq!(
        json,
        [
            r#"{"Place":{"street":"a\"b","latitude":1.50,"code":null},"Url":"/x/1/\"Body"}"#,
            r#"{"Place":null,"Url":"/x/2/\"Body"}"#,
            r#"{"Place":{"street":null,"latitude":2,"code":null},"Url":null}"#,
        ]
    );
}

#[test]
fn broken_bodies_are_told_from_ended_ones() {
    assert!(is_broken(run(rows(cut_off(b"a,b\n1,2\n")))));
    assert!(is_broken(run(rows(whole(b"a,b\n1\n")))));
    assert!(is_broken(run(rows(whole(b"a,b\n1,2,3\n")))));
    assert_eq!(run(rows(whole(b""))).unwrap(), [Vec::<String>::new()]);
    assert_eq!(run(rows(whole(b"a,b\n"))).unwrap().len(), 1);
    assert_eq!(run(rows(whole(b"a,b\n1,2"))).unwrap().len(), 2);

    assert!(is_broken(run(lines(cut_off(b"{\"a\":1}\n")))));
    assert!(is_broken(run(lines(whole(b"{\"a\":1}\n{\"a\":")))));
    assert!(is_broken(run(lines(whole(b"{\"a\":1} {}\n")))));
    assert_eq!(
        run(lines(whole(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n \n[2] "))).unwrap(),
        [r#"{"a":1}"#, "[2]"]
    );

    let packed = gzip(&b"x".repeat(100_000));
    assert!(is_broken(run(bytes(gunzip(whole(&packed[..packed.len() - 9]))))));
    assert!(is_broken(run(bytes(gunzip(cut_off(&packed[..20]))))));
    assert!(is_broken(run(bytes(gunzip(cut_off(&packed[..1]))))));
}

#[test]
fn gzip_of_several_members_and_what_is_no_gzip() {
    let two = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(run(bytes(gunzip(whole(&two)))).unwrap(), b"one two");
    assert_eq!(run(bytes(gunzip(whole(b"plain")))).unwrap(), b"plain");
    assert_eq!(run(bytes(gunzip(whole(b"p")))).unwrap(), b"p");
    assert_eq!(run(bytes(gunzip(whole(b"")))).unwrap(), b"");
}

#[test]
fn rows_read_before_are_passed_over() {
    run(async {
        let mut csv = Csv::open(whole(b"a\n1\n2\n3\n"), b',').await.unwrap();
        csv.skip(2).await.unwrap();
        assert_eq!(csv.next().await.unwrap().unwrap().get(0), Some(&b"3"[..]));
        assert!(is_broken(csv.skip(1).await));
    });
}

#[test]
fn a_huge_cell_and_other_delimiters() {
    let huge = "ä\"\n".repeat(1 << 20);
    let rows_given = vec![vec!["a".to_owned(), "b".to_owned()], vec![huge, String::new()]];
    let text = csv_text(&rows_given);
    assert_eq!(run(rows(pieces(text.as_bytes(), &[7, 1_000_001]))).unwrap(), rows_given);
    run(async {
        let mut csv = Csv::open(whole(b"a|b\n1,5|2\n"), b'|').await.unwrap();
        assert_eq!(csv.next().await.unwrap().unwrap().get(0), Some(&b"1,5"[..]));
    });
}

/// A body that is made while it is read.
fn endless_rows(count: u64) -> Body {
    let piece = Bytes::from("1,\"some text\"\n".repeat(1000));
    let head = stream::iter([Ok(Bytes::from_static(b"a,b\n"))]);
    head.chain(stream::iter((0..count / 1000).map(move |_| Ok(piece.clone())))).boxed()
}

#[test]
fn rows_are_given_out_as_they_come_in() {
    // The body never ends: rows must come before it does.
    let body = endless_rows(1000).chain(stream::pending()).boxed();
    run(async {
        let mut csv = Csv::open(body, b',').await.unwrap();
        csv.skip(900).await.unwrap();
        let mut lines = JsonLines::new(whole(b"1\n2\n").chain(stream::pending()).boxed());
        assert_eq!(lines.next().await.unwrap().unwrap(), "1");
    });
    run(async {
        let mut csv = Csv::open(endless_rows(200_000), b',').await.unwrap();
        csv.skip(200_000).await.unwrap();
        assert!(csv.next().await.unwrap().is_none());
    });
}

proptest! {
    #[test]
    fn csv_is_the_same_however_it_is_cut(
        width in 1usize..4,
        cells in proptest::collection::vec("[a-z\u{e4}\",\r\n \u{1F600}]{0,6}", 0..24),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let header = (0..width).map(|i| format!("c{i}")).collect();
        let given: Vec<Vec<String>> = std::iter::once(header)
            .chain(cells.chunks_exact(width).map(<[String]>::to_vec))
            .collect();
        let text = csv_text(&given);
        prop_assert_eq!(run(rows(pieces(text.as_bytes(), &cuts))).unwrap(), given);
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut(
        values in proptest::collection::vec(".{0,12}", 0..12),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
        packed in any::<bool>(),
    ) {
        let given: Vec<String> =
            values.iter().map(|v| serde_json::json!({ "v": v }).to_string()).collect();
        let mut file = given.join("\n").into_bytes();
        if packed {
            file = gzip(&file);
        }
        prop_assert_eq!(run(lines(gunzip(pieces(&file, &cuts)))).unwrap(), given);
    }

    #[test]
    fn no_bytes_panic(
        file in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(any::<usize>(), 0..4),
    ) {
        let _ = run(rows(pieces(&file, &cuts)));
        let _ = run(lines(pieces(&file, &cuts)));
        let _ = run(bytes(gunzip(pieces(&[&[0x1f, 0x8b][..], &file].concat(), &cuts))));
    }

    #[test]
    fn every_conversion_writes_json(cell in proptest::collection::vec(any::<u8>(), 0..12)) {
        for convert in
            [column::text, column::string, column::number, column::integer, column::boolean, column::json]
        {
            let mut json = Vec::new();
            convert(&cell, &mut json);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok(), "{json:?}");
        }
    }

    #[test]
    fn numbers_survive_digit_for_digit(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
        let mut json = Vec::new();
        column::number(number.as_bytes(), &mut json);
        prop_assert_eq!(String::from_utf8(json).unwrap(), number);
    }
}
