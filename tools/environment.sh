# Sourced by tools/run and tools/test, which set $project to the root of the source tree. Defines
#
#   environment_for EXTRAS   make .venv, if need be, and install the project with these extras into it
#   $venv                    where it is
#
# PYTHON names the interpreter to make it with, when the first suitable one is not wanted.

venv=$project/.venv
stamp=$venv/nova_api.installed

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$*"
    exit 2
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11
    fi
    for candidate; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "nova_api needs Python 3.11 or newer, and $1 is not: apt-get install python3"
}

has_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Debian packs the venv module's pip apart from Python.
need_venv_module() {
    has_venv_module "$1" && return
    case $1 in
        */python3) package=python3-venv ;;
        *) package=${1##*/}-venv ;;
    esac
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing $package ..."
        apt-get update -qq >/dev/null </dev/null || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null </dev/null || true
    fi
    has_venv_module "$1" || die "Python's venv module is missing: apt-get install $package"
}

# All that an installation depends on: the files, the interpreter, and the place, which its scripts hold.
wanted() {
    printf '%s %s %s' "$(cat "$project/pyproject.toml" "$project/constraints.txt" | sha256sum | cut -d ' ' -f 1)" \
        "$("$venv/bin/python" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" "$project"
}

is_installed() {
    [ -f "$stamp" ] && grep -qxF -e "$(wanted) [$1]" "$stamp"
}

make_venv() {
    if [ -f "$stamp" ] && ! grep -qF -e " $project [" "$stamp"; then
        say "The source tree has moved: making $venv anew"
    elif "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    python=$(find_python) || exit 2
    need_venv_module "$python"
    # A file of that name is the pointer to an environment of its own that tox may leave behind.
    [ ! -f "$venv" ] || rm -f "$venv"
    "$python" -m venv --clear "$venv" || die "$venv cannot be made"
}

pip_install() {
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
        -c "$project/constraints.txt" "$@" </dev/null || die "pip could not install nova_api: see above"
}

install() {
    say "Installing nova_api${1:+ [$1]} into $venv (a minute or two the first time) ..."
    done_before=$(grep -F -e "$(wanted) [" "$stamp" 2>/dev/null || true)
    rm -f "$stamp"
    # The build backend is pinned like everything else, so the build runs in this environment.
    pip_install setuptools
    pip_install --no-build-isolation -e "$project${1:+[$1]}"
    printf '%s\n' "$(wanted) []" "$(wanted) [$1]" ${done_before:+"$done_before"} | sort -u >"$stamp"
}

environment_for() {
    is_installed "$1" && return
    if command -v flock >/dev/null; then
        # Of two at once, the second waits and then finds the work done.
        { exec 9>"$project/.venv.lock"; } 2>/dev/null || die "$project cannot be written to"
        flock 9
    fi
    if ! is_installed "$1"; then
        make_venv
        install "$1"
    fi
    { exec 9>&-; } 2>/dev/null || true
}
