#!/bin/sh
# Brings together what a build or a test needs: the Rust toolchain, Trunk, wasm-bindgen, the npm tools, a browser.
# Usage: .ci/setup.sh build|test     Each step is done once; a second run only looks.
# Tools go to $FRESCO_TOOLS (default .tools/), never into the system, except Chromium from Debian, as root.
set -eu

cd "$(dirname "$0")/.."
tools=${FRESCO_TOOLS:-$PWD/.tools}
trunk_version=0.21.14

say() { printf 'fresco: %s\n' "$*"; }
die() { printf 'fresco: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The version of a package in Cargo.lock.
locked() { awk -v name="\"$1\"" '$1 == "name" { hit = ($3 == name) } hit && $1 == "version" { gsub("\"", "", $3); print $3; exit }' Cargo.lock; }

check_prerequisites() {
  have rustup || die 'rustup is missing. Install it from https://rustup.rs and run this again.'
  have cargo || die 'cargo is not on PATH. Add ~/.cargo/bin to PATH (rustup says how) and run this again.'
  have cc || die 'a C compiler is missing. Debian: apt install build-essential; macOS: xcode-select --install.'
  have node || die 'Node is missing. Install Node 20 or newer (https://nodejs.org) and run this again.'
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node $(node -v) is too old. Install Node 20 or newer and run this again."
  have npm || die 'npm is missing. It comes with Node (Debian: apt install npm).'
}

# The toolchain of rust-toolchain.toml with its components and its target, really there.
setup_toolchain() {
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  parts=$(rustup component list --installed --toolchain "$channel" 2>/dev/null || true)
  for part in rustc cargo rustfmt clippy rust-std-wasm32-unknown-unknown; do
    case $parts in *"$part"*) ;; *) missing=$part ;; esac
  done
  if [ -z "${missing:-}" ]; then return; fi
  say "installing Rust $channel with rustfmt, clippy and the wasm32 target"
  rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy \
    --target wasm32-unknown-unknown --no-self-update || die "rustup could not install Rust $channel."
}

# install_tool COMMAND PACKAGE VERSION: a cargo-installed program in $tools/bin.
# The profile is light: these programs are not hot, and trunk's own (fat LTO, one unit) takes many minutes.
install_tool() {
  case $("$tools/bin/$1" --version 2>/dev/null || true) in "$1 $3"*) return ;; esac
  say "installing $2 $3 into $tools (once, a few minutes)"
  mkdir -p "$tools"
  cargo_install --locked "$2@$3" 2>"$tools/install.log" || {
    say "the lock file that $2 was published with cannot be used here; taking the newest dependencies"
    cargo_install "$2@$3" || { cat "$tools/install.log" >&2; die "cargo could not install $2 $3."; }
  }
  rm -f "$tools/install.log"
}

cargo_install() {
  CARGO_TARGET_DIR="$tools/build" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
    cargo install --quiet --force --root "$tools" "$@"
}

setup_cargo_tools() {
  install_tool trunk trunk "$trunk_version"
  install_tool wasm-bindgen wasm-bindgen-cli "$(locked wasm-bindgen)"
  rm -rf "$tools/build"
}

# The crates of Cargo.lock, so that everything after this works without a network.
setup_crates() {
  host=$(rustc -vV | sed -n 's/^host: //p')
  cargo fetch --quiet --locked --target "$host" --target wasm32-unknown-unknown ||
    die 'cargo could not fetch the crates of Cargo.lock (is the network there, and Cargo.lock up to date?).'
}

# The packages of package-lock.json in node_modules, stamped with the lock file they came from.
setup_npm_tools() {
  stamp=node_modules/.fresco-lock
  if cmp -s package-lock.json "$stamp"; then return; fi
  say 'installing the npm tools (wasm-opt, playwright-core, pngjs)'
  npm ci --silent --no-progress </dev/null || die 'npm could not install the packages of package-lock.json.'
  cp package-lock.json "$stamp"
}

setup_browser() {
  if node tests/browser/support/find.mjs; then return; fi
  if [ "$(id -u)" -eq 0 ] && have apt-get; then
    say "installing Chromium (Debian's package)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
      >/dev/null </dev/null || die 'apt could not install chromium.'
    node tests/browser/support/find.mjs && return
  fi
  die 'Chromium is missing: the browser tests need it. Install Chromium or Google Chrome, or set CHROMIUM to its path.'
}

check_prerequisites
setup_toolchain
setup_cargo_tools
setup_crates
setup_npm_tools
case ${1:-build} in
  build) ;;
  test) setup_browser ;;
  *) die "unknown set-up '$1': build or test" ;;
esac
