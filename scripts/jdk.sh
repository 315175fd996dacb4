# Finds a JDK that may be used: 25.0.3 or later, because 25.0.0 to 25.0.2 move pinned memory. Sourced by the scripts
# beside it. find_jdk sets JAVA_HOME, or says in one sentence what was found where and what to do, and fails.

# Version of the JDK in a folder, from its release file; nothing if there is none.
jdk_version() {
    [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 0
    local line
    while IFS= read -r line; do
        case $line in
            JAVA_VERSION=*)
                line=${line#*=}
                printf '%s' "${line//[\"$'\r']/}"
                ;;
        esac
    done < "$1/release"
}

# Whether a version is 25.0.3 or later.
jdk_fits() {
    local major minor update
    IFS=. read -r major minor update _ <<< "${1%%[-+_]*}"
    case ${major:-x}${minor:-0}${update:-0} in *[!0-9]*) return 1 ;; esac
    [ "$major" -gt 25 ] && return 0
    [ "$major" -eq 25 ] && { [ "${minor:-0}" -gt 0 ] || [ "${update:-0}" -ge 3 ]; }
}

# Folders where JDKs are usually found, the user's own choice first; some may not exist.
jdk_places() {
    local javac home=${HOME:-/nonexistent}
    [ -n "${JAVA_HOME:-}" ] && printf '%s\n' "$JAVA_HOME"
    javac=$(command -v javac || true)
    if [ -n "$javac" ]; then
        javac=$(readlink -f "$javac" 2> /dev/null || printf '%s' "$javac")
        printf '%s\n' "${javac%/bin/javac}"
    fi
    printf '%s\n' /usr/lib/jvm/* /usr/local/lib/jvm/* /usr/local/openjdk* /usr/java/* /opt/* /opt/java/* \
        "$home"/.sdkman/candidates/java/* "$home"/.jdks/* "$home"/.local/share/mise/installs/java/* \
        "$home"/.asdf/installs/java/* "${RUNNER_TOOL_CACHE:-/opt/hostedtoolcache}"/Java_*/*/* \
        /Library/Java/JavaVirtualMachines/*/Contents/Home "$home"/Library/Java/JavaVirtualMachines/*/Contents/Home \
        /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home
}

find_jdk() {
    local place version refused=
    while IFS= read -r place; do
        version=$(jdk_version "$place")
        [ -n "$version" ] || continue
        if jdk_fits "$version"; then
            export JAVA_HOME=$place
            return 0
        fi
        case $refused in
            *" $place"*) ;;
            *) refused="${refused:+$refused, }$version in $place" ;;
        esac
    done < <(jdk_places)
    echo "brantas: JDK 25.0.3 or later is needed, found ${refused:-none}: install one and set JAVA_HOME to its folder." >&2
    return 1
}
