
_kafka_admin_names() {
    local line=${COMP_LINE:0:COMP_POINT} words names
    # By blanks alone: COMP_WORDS cuts HOST:PORT into pieces.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    # It fails where no name is meant.
    if ! names=$(kafka-admin completions --names "${words[@]}" 2>/dev/null); then
        _kafka__admin "$@"
        return
    fi
    COMPREPLY=()
    [[ -z $names ]] || mapfile -t COMPREPLY <<<"$names"
    # What stands before a colon is not replaced.
    local before=${words[-1]%"${words[-1]##*:}"}
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _kafka_admin_names -o bashdefault -o default kafka-admin
