//! Compiles what the window needs beside its code, so that a plain `cargo build` makes a window that
//! runs where it was built: the resources, the settings schema and the translations.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "gui")]
    gui::compile();
}

#[cfg(feature = "gui")]
mod gui {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    pub fn compile() {
        let out: PathBuf = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR").into();
        glib_build_tools::compile_resources(
            &["data/resources", "data"],
            "data/resources/souvenir.gresource.xml",
            "souvenir.gresource",
        );
        compile_schema(Path::new("data"), &out.join("schemas"));
        compile_translations(Path::new("po"), &out.join("locale"));
    }

    fn compile_schema(folder: &Path, target: &Path) {
        println!("cargo::rerun-if-changed={}", folder.display());
        std::fs::create_dir_all(target).expect("OUT_DIR can be written");
        run(Command::new("glib-compile-schemas").arg("--strict").arg("--targetdir").arg(target).arg(folder));
    }

    /// Without msgfmt the window is built all the same, and speaks English.
    fn compile_translations(folder: &Path, target: &Path) {
        println!("cargo::rerun-if-changed={}", folder.display());
        let Ok(files) = std::fs::read_dir(folder) else { return };
        for file in files.flatten().map(|entry| entry.path()) {
            let (Some("po"), Some(language)) = (
                file.extension().and_then(|extension| extension.to_str()),
                file.file_stem().and_then(|stem| stem.to_str()),
            ) else {
                continue;
            };
            let messages = target.join(language).join("LC_MESSAGES");
            std::fs::create_dir_all(&messages).expect("OUT_DIR can be written");
            run(Command::new("msgfmt").arg("-o").arg(messages.join("souvenir.mo")).arg(&file));
        }
    }

    fn run(command: &mut Command) {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => println!("cargo::warning={command:?} ended with {status}"),
            Err(error) => println!("cargo::warning={command:?} could not be run: {error}"),
        }
    }
}
