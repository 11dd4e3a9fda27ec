_kafka_admin_names() {
    local found
    # It fails where no name is meant.
    found=$(kafka-admin completions --names "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null) || return
    compadd -- ${(f)found}
    return 0
}

