//! `fresco models` as its user sees it: pulling from a hub on this machine, killed and resumed, and what comes after.

use super::{
    folder, fresco,
    hub::{Files, Hub, Reply, file, noise},
    one_line_error, run, text,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/fresco-tiny");

fn taesd(length: usize) -> Files {
    Files::from([("config.json".to_owned(), b"{}".to_vec()), (WEIGHTS.to_owned(), noise(length, 5))])
}

/// The embedded model's files, as if a repository had them.
fn embedded() -> Files {
    fn walk(folder: &Path, prefix: &str, files: &mut Files) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = format!("{prefix}{}", path.file_name().expect("a name").to_str().expect("text"));
            if path.is_dir() {
                walk(&path, &format!("{name}/"), files);
            } else {
                files.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    let mut files = Files::new();
    walk(Path::new(EMBEDDED), "", &mut files);
    files
}

fn command(home: &Path, hub: &str, arguments: &[&str]) -> Command {
    let mut command = fresco(arguments);
    command.env("FRESCO_HOME", home).env("HF_ENDPOINT", hub).env("HF_HOME", home.join("no-hf"));
    command
}

fn models(home: &Path, hub: &str, arguments: &[&str]) -> Output {
    command(home, hub, &[&["models"], arguments].concat()).output().expect("the program starts")
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn kept(home: &Path) -> Option<(PathBuf, u64)> {
    let entries = fs::read_dir(home.join("models/.pull")).ok()?.flatten();
    let part = entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "part"))?;
    Some((part.clone(), fs::metadata(part).ok()?.len()))
}

/// Killed when the test is over, whatever happens.
struct Pulling(Child);

impl Drop for Pulling {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_pull_that_is_killed_again_and_again_goes_on_and_ends_right() {
    let home = folder("killed");
    let files = taesd(1_500_000);
    let bytes = files[WEIGHTS].clone();
    let slow = Hub::start(files.clone(), move |ask| {
        let pause = Some(Duration::from_millis(10));
        ask.is_file(WEIGHTS).then(|| Reply { pause, ..file(&bytes, ask) })
    });
    let mut reached = 0;
    for _ in 0..4 {
        let mut pull = command(&home, &slow.base, &["models", "pull", "taesd"]);
        let mut pulling = Pulling(pull.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
        let start = Instant::now();
        while kept(&home).is_none_or(|(_, length)| length < reached + 100_000) {
            assert!(start.elapsed() < Duration::from_secs(20) && !home.join("models/taesd").exists());
            sleep(Duration::from_millis(2));
        }
        // SIGKILL: the program cannot tidy up.
        pulling.0.kill().expect("it is killed");
        pulling.0.wait().expect("it is gone");
        let (_, length) = kept(&home).expect("the part is kept");
        assert!(length > reached && length < 1_500_000, "{length} after {reached}");
        reached = length;
        assert!(!home.join("models/taesd").exists(), "nothing is visible");
    }
    let fast = Hub::honest(files.clone());
    let said = succeeds(models(&home, &fast.base, &["pull", "taesd"]));
    assert!(said.contains("goes on at ") && said.contains("checked by sha256"), "{said}");
    let froms: Vec<Option<usize>> =
        fast.files_asked().iter().filter(|ask| ask.is_file(WEIGHTS)).map(|ask| ask.from()).collect();
    assert_eq!(froms, [usize::try_from(reached).ok()]);
    assert!(fs::read(home.join("models/taesd").join(WEIGHTS)).expect("the file") == files[WEIGHTS]);
    assert!(kept(&home).is_none());
}

#[test]
fn a_pulled_model_makes_the_picture() {
    let home = folder("pulled");
    let hub = Hub::honest(embedded());
    let said = succeeds(models(&home, &hub.base, &["pull", "sd-turbo"]));
    assert!(said.contains("licence: ") && said.contains("unet/config.json: fetched"), "{said}");
    assert!(said.trim_end().lines().last().is_some_and(|line| line.starts_with("sd-turbo is installed: ")), "{said}");
    let again = succeeds(models(&home, &hub.base, &["pull", "sd-turbo"]));
    assert!(again.contains("sd-turbo is there already"), "{again}");

    let nobody = "http://127.0.0.1:9";
    let paint = |model: &str, name: &str| {
        let picture = home.join(name);
        let out = picture.to_str().expect("a path");
        let request = ["--prompt", "the sea at night", "--steps", "1", "--width", "128", "--height", "128"];
        let rest = ["--guidance", "1", "--seed", "3", "--device", "cpu", "--model", model, "--out", out];
        succeeds(command(&home, nobody, &[&["generate"][..], &request, &rest].concat()).output().expect("it starts"));
        fs::read(picture).expect("a picture")
    };
    let (pulled, tiny) = (paint("sd-turbo", "a.png"), paint("fresco-tiny", "b.png"));
    // The files differ in the model's name only, which is written into them.
    assert!(pixels(&pulled) == pixels(&tiny), "the same weights make the same picture");

    let list = succeeds(models(&home, nobody, &["list"]));
    let (there, available) = list.split_once("To fetch with").expect("both lists");
    assert!(there.contains("sd-turbo") && !available.contains("sd-turbo "), "{list}");
    assert!(available.contains("sd3.5-large") && available.contains("terms to accept first"), "{list}");
    succeeds(models(&home, nobody, &["rm", "sd-turbo"]));
    assert!(!home.join("models/sd-turbo").exists());
    assert!(
        one_line_error(&models(&home, nobody, &["rm", "sd-turbo"])).starts_with("there is no model \"sd-turbo\" in ")
    );
}

fn pixels(png: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("a picture");
    pixels
}

#[test]
fn nothing_is_fetched_unless_it_is_asked_for() {
    let home = folder("asked-for");
    let hub = Hub::honest(embedded());
    for arguments in [&["list"][..], &["list", "--json"], &["inspect", "fresco-tiny"], &["inspect", "sd-turbo"]] {
        succeeds(models(&home, &hub.base, arguments));
    }
    let missing = command(&home, &hub.base, &["generate", "--prompt", "x", "--model", "sd-turbo"]).output();
    assert!(one_line_error(&missing.expect("it starts")).starts_with("model: There is no model"));
    assert!(hub.asked().is_empty(), "{:?}", hub.asked());
}

#[test]
fn a_gate_is_one_line_that_says_what_to_do() {
    let home = folder("gated");
    let hub = Hub::start(embedded(), |ask| {
        ask.target.contains("/resolve/").then(|| Reply::new(401, "").with("x-error-code", "GatedRepo"))
    });
    let output = models(&home, &hub.base, &["pull", "sd-turbo"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("error: stabilityai/sd-turbo is gated: accept its terms at http://127.0.0.1"), "{said}");
    assert!(said.contains("set HF_TOKEN") && said.trim_end().lines().count() == 1, "{said}");
    // The token of the hub's own tools is found, and never shown.
    fs::create_dir_all(home.join("no-hf")).expect("a folder");
    fs::write(home.join("no-hf/token"), "hf_of_the_test\n").expect("a token");
    let output = models(&home, &hub.base, &["pull", "sd-turbo"]);
    assert!(text(&output.stderr).contains("this token's account may not read it"), "{}", text(&output.stderr));
    let sent = hub.asked().iter().filter(|ask| ask.header("authorization") == Some("Bearer hf_of_the_test")).count();
    assert!(sent >= 3);
    assert!(!format!("{}{}", text(&output.stdout), text(&output.stderr)).contains("hf_of_the_test"));
}

#[test]
fn wrong_words_are_refused_before_anybody_is_asked() {
    let home = folder("wrong-words");
    let hub = Hub::honest(Files::new());
    for arguments in [
        &["pull", "taesd", "--precision", "tiny"][..],
        &["pull", "taesd", "--max-rate", "fast"],
        &["pull", "taesd", "--at-once", "0"],
        &["inspect", "x", "--side", "0"],
        &["inspect", "x", "--precision", "q5"],
    ] {
        assert_eq!(models(&home, &hub.base, arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(one_line_error(&models(&home, "ftp://x", &["pull", "taesd"])).starts_with("HF_ENDPOINT: "));
    assert!(one_line_error(&models(&home, &hub.base, &["pull", "sd9"])).starts_with("there is no model"));
    assert!(hub.asked().is_empty());
}

#[test]
fn a_model_is_inspected_before_and_after_it_is_there() {
    let tiny = succeeds(run(&["models", "inspect", "fresco-tiny"]));
    for words in [
        "text_encoder",
        "436096",
        "unet",
        "4540836",
        "vae",
        "16-bit weights (f16)",
        "by your own choice",
        "This machine: ",
    ] {
        assert!(tiny.contains(words), "{words}: {tiny}");
    }
    let large = succeeds(run(&["models", "inspect", "sd3.5-large"]));
    assert!(large.contains("Not on this machine") && large.contains("transformer"), "{large}");
    let size = ["--width", "256", "--height", "128"];
    let json = succeeds(run(&[&["models", "inspect", EMBEDDED, "--json"], &size[..]].concat()));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["components"][1]["name"], &json["width"]), (&"unet".into(), &256.into()));
    assert_eq!(json["components"][1]["parameters"], 4_540_836);
    let needs = json["needs"].as_array().expect("a list");
    let peak = |i: usize| needs[i]["peak"].as_u64().expect("bytes");
    assert!(needs.len() == 7 && peak(0) > peak(1), "{json}");
    assert_eq!((&needs[1]["savings"]["precision"], &needs[1]["automatic"]), (&"f16".into(), &true.into()));
    let only = succeeds(run(&["models", "inspect", EMBEDDED, "--precision", "q4", "--side", "256"]));
    assert!(only.contains("4-bit weights (q4)") && !only.contains("32-bit"), "{only}");
    let file = format!("{EMBEDDED}/vae/diffusion_pytorch_model.safetensors");
    assert!(succeeds(run(&["models", "inspect", &file])).contains("1546119"));
    let cut = folder("inspect").join("cut.safetensors");
    fs::write(&cut, &fs::read(file).expect("the file")[..5_000]).expect("written");
    assert!(
        one_line_error(&run(&["models", "inspect", cut.to_str().expect("a path")]))
            .starts_with("cut.safetensors: is truncated")
    );
    assert!(one_line_error(&run(&["models", "inspect", "sd9"])).contains("There is no model"));
}

#[test]
fn ones_own_models_are_imported_and_searched_for() {
    let (home, mine) = (folder("own"), folder("own-files"));
    fs::write(mine.join("merge.safetensors"), "x").expect("written");
    let with_path = |arguments: &[&str]| {
        let mut command = command(&home, "http://127.0.0.1:9", &[&["models"], arguments].concat());
        command.env("MODEL_PATH", &mine).output().expect("it starts")
    };
    let list = succeeds(with_path(&["list"]));
    assert!(list.contains("merge") && list.contains("merge.safetensors: is truncated"), "{list}");
    assert!(one_line_error(&with_path(&["rm", "merge"])).contains("a model of your own"));
    let said = succeeds(with_path(&["import", EMBEDDED, "--name", "copy"]));
    assert!(said.starts_with("copy is linked at "), "{said}");
    let json: serde_json::Value = serde_json::from_str(&succeeds(with_path(&["list", "--json"]))).expect("JSON");
    let find = |id: &str| json.as_array().expect("a list").iter().find(|row| row["id"] == id).expect("a row").clone();
    assert_eq!(find("copy")["state"], "usable");
    assert_eq!(find("merge")["state"], "unusable");
    let turbo = find("sd-turbo");
    assert_eq!((&turbo["state"], &turbo["licence"]["gated"]), (&"available".into(), &false.into()));
    succeeds(with_path(&["rm", "copy"]));
    assert!(Path::new(EMBEDDED).join("model_index.json").is_file(), "what the link pointed to stays");
}
