
function __kafka_admin_names
    set -l current (commandline -ct)
    # It fails where no name is meant.
    set -g __kafka_admin_found (kafka-admin completions --names (commandline -opc) "$current" 2>/dev/null)
end
complete -c kafka-admin -f -n __kafka_admin_names -a '$__kafka_admin_found'
