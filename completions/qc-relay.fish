# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_qc_relay_global_optspecs
    string join \n c/config= o/output= json no-headers q/quiet v/verbose color= no-input timeout= socket= h/help V/version
end

function __fish_qc_relay_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_qc_relay_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_qc_relay_using_subcommand
    set -l cmd (__fish_qc_relay_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c qc-relay -n "__fish_qc_relay_needs_command" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_needs_command" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_needs_command" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_needs_command" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_needs_command" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_needs_command" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "run" -d 'Run the relay in the foreground until SIGTERM'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "status" -d 'Show how the relay fares: store, links, certificate'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "streams" -d 'Look at the streams of the relay'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "consumer" -d 'Look at who reads the streams, and take away who will not come again'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "tail" -d 'Show the messages of a stream as they come: attributes and sizes, never bodies'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "publish" -d 'Publish to a stream of this relay, as its local operator'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "fleet" -d 'List the nodes this relay knows, with state and backlog'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "node" -d 'Look at what is remembered of the nodes below, and label them'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "control" -d 'Apply signed control objects, and see which nodes have them'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "ledger" -d 'Hold what came in against what went on and what is kept'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "dlq" -d 'Look at messages that cannot go on, with the reason'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "key" -d 'Look at the keys of the store, change them, destroy a tenant\'s'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "disk" -d 'Show what takes the disk, what is left, and who is refused'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "retention" -d 'See how long streams keep their messages'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "probe" -d 'Send a probe through the store here, over the link, through the store there, and back'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "link" -d 'Show the link upward, and limit how much of the line it takes'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "drain" -d 'Send nodes away, to another relay or to the next one they know, until `resume`'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "resume" -d 'Take nodes in again that were sent away: all, or the named ones'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "reload" -d 'Read configuration, certificates and trust again, without a restart'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "config" -d 'Check, show and explain the configuration'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-relay -n "__fish_qc_relay_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand run" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand status" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'List the streams with their consumers'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the streams with their consumers'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand streams; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -f -a "list" -d 'List the consumers with what waits for each'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -f -a "remove" -d 'Stop keeping messages for a consumer that will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and not __fish_seen_subcommand_from list remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l reason -d 'Why, for the log' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the consumers with what waits for each'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Stop keeping messages for a consumer that will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand consumer; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l after -d 'Begin after this number' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s N -l limit -d 'Stop after this many messages' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s f -l follow -d 'Wait for more messages instead of stopping at the end'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand tail" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s f -l file -d 'Read the body from this file, - for stdin' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l type -d 'The type of the event' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l source -d 'The source of the event' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l id -d 'The id of the event; a repeated id is a duplicate. With --lines, -1, -2 ... is appended' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l subject -d 'The subject of the event' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l content-type -d 'The media type of the body' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l lines -d 'Make every line a message of its own'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand publish" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand fleet" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -f -a "list" -d 'List the nodes with version, labels and when they were seen last'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -f -a "show" -d 'Show everything that is remembered of a node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -f -a "label" -d 'Set labels of a node, and take labels away'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -f -a "forget" -d 'Forget a node that will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and not __fish_seen_subcommand_from list show label forget help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l filter -d 'Only what passes this expression, such as \'label.env=prod & seen>3d\'' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l if-revision -d 'Only if the labels have this revision, as `node show` tells it' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from label" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l if-exists -d 'It is no error if there is no such node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s y -l yes -d 'Do not ask'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from forget" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the nodes with version, labels and when they were seen last'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show everything that is remembered of a node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "label" -d 'Set labels of a node, and take labels away'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "forget" -d 'Forget a node that will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -f -a "apply" -d 'Judge a control object, put it in force here, and send it to the nodes below'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -f -a "list" -d 'List the control objects with how many nodes have applied each'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -f -a "show" -d 'Show one control object, node by node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and not __fish_seen_subcommand_from apply list show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from apply" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "apply" -d 'Judge a control object, put it in force here, and send it to the nodes below'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the control objects with how many nodes have applied each'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one control object, node by node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -f -a "check" -d 'Check that every stream balances: in = acked + pending + expired + dead-lettered + purged'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check that every stream balances: in = acked + pending + expired + dead-lettered + purged'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -f -a "list" -d 'List the dead letters, newest first'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -f -a "show" -d 'Show why one is here, and its attributes'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l stream -d 'Only messages of this stream, TENANT/NAME' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l code -d 'Only messages with this reason code' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l filter -d 'Only what passes this expression, such as \'consumer=sink.* & age<1h\'' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s N -l limit -d 'Stop after this many' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l before -d 'Go on where an earlier list ended, as it says' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l meta -d 'Show reason, place and attributes, not the body'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the dead letters, newest first'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show why one is here, and its attributes'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand dlq; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "show" -d 'Show the keys: short names, ages and states, never a key'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "rotate" -d 'Put a new key in the place of the node key, or add a generation to a tenant\'s key'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "create" -d 'Make a key for a tenant that has none, for the first time or after a destruction'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "destroy" -d 'Destroy all generations of a tenant\'s key: its bodies here are unreadable for good'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l tenant -d 'Rotate the key of this tenant instead of the node key' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from rotate" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l tenant -d 'The tenant' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l tenant -d 'The tenant' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l reason -d 'Why; it is kept and shown to whoever tries to read' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s y -l yes -d 'Do not ask'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from destroy" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the keys: short names, ages and states, never a key'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Put a new key in the place of the node key, or add a generation to a tenant\'s key'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a key for a tenant that has none, for the first time or after a destruction'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "destroy" -d 'Destroy all generations of a tenant\'s key: its bodies here are unreadable for good'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -f -a "relieve" -d 'Give back space without losing a message'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s n -l dry-run -d 'Say what would be given back, and change nothing'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s y -l yes -d 'Do not ask'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from help" -f -a "relieve" -d 'Give back space without losing a message'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand disk; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -f -a "show" -d 'Show what every stream keeps, by whose word, and what goes next'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and not __fish_seen_subcommand_from show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what every stream keeps, by whose word, and what goes next'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand retention; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand probe" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "show" -d 'Show how it stands, what waits, and what is limited'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "limit" -d 'Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "reset" -d 'Go back to what the configuration says'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l catchup -d 'The share of it in percent while what waits is older than a minute' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l window -d 'Send the lanes normal and low at this time of the day only (can be repeated)' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l for -d 'For this long, such as 2h' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from limit" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from reset" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show how it stands, what waits, and what is limited'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "limit" -d 'Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Go back to what the configuration says'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l to -d 'Tell them to go to this relay' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l reason -d 'Why, for them and for the log' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l wait -d 'Wait until their links have ended, 1m if no time is given' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l all -d 'Every node that has no order of its own, and all that come'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand drain" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l reason -d 'Why, for the log' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand resume" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand reload" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "check" -d 'Check the file and its drop-ins, and list every error'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "show" -d 'Show the configuration in effect'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "sample" -d 'Print a commented sample file'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "explain" -d 'Explain the sections, or the keys of one'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Tell where each value comes from'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from sample" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check the file and its drop-ins, and list every error'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the configuration in effect'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "sample" -d 'Print a commented sample file'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Explain the sections, or the keys of one'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -l socket -d 'Talk to the relay behind this socket' -r -F
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -l no-headers -d 'Print tables without their header'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -s q -l quiet -d 'Print errors only'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -l no-input -d 'Never ask; fail instead'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand explain" -s V -l version -d 'Print version'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "run" -d 'Run the relay in the foreground until SIGTERM'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "status" -d 'Show how the relay fares: store, links, certificate'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "streams" -d 'Look at the streams of the relay'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "consumer" -d 'Look at who reads the streams, and take away who will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "tail" -d 'Show the messages of a stream as they come: attributes and sizes, never bodies'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "publish" -d 'Publish to a stream of this relay, as its local operator'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "fleet" -d 'List the nodes this relay knows, with state and backlog'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "node" -d 'Look at what is remembered of the nodes below, and label them'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "control" -d 'Apply signed control objects, and see which nodes have them'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "ledger" -d 'Hold what came in against what went on and what is kept'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "dlq" -d 'Look at messages that cannot go on, with the reason'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "key" -d 'Look at the keys of the store, change them, destroy a tenant\'s'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "disk" -d 'Show what takes the disk, what is left, and who is refused'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "retention" -d 'See how long streams keep their messages'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "probe" -d 'Send a probe through the store here, over the link, through the store there, and back'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "link" -d 'Show the link upward, and limit how much of the line it takes'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "drain" -d 'Send nodes away, to another relay or to the next one they know, until `resume`'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "resume" -d 'Take nodes in again that were sent away: all, or the named ones'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "reload" -d 'Read configuration, certificates and trust again, without a restart'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "config" -d 'Check, show and explain the configuration'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and not __fish_seen_subcommand_from run status streams consumer tail publish fleet node control ledger dlq key disk retention probe link drain resume reload config explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from streams" -f -a "list" -d 'List the streams with their consumers'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from consumer" -f -a "list" -d 'List the consumers with what waits for each'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from consumer" -f -a "remove" -d 'Stop keeping messages for a consumer that will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "list" -d 'List the nodes with version, labels and when they were seen last'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "show" -d 'Show everything that is remembered of a node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "label" -d 'Set labels of a node, and take labels away'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "forget" -d 'Forget a node that will not come again'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "apply" -d 'Judge a control object, put it in force here, and send it to the nodes below'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "list" -d 'List the control objects with how many nodes have applied each'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "show" -d 'Show one control object, node by node'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "check" -d 'Check that every stream balances: in = acked + pending + expired + dead-lettered + purged'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from dlq" -f -a "list" -d 'List the dead letters, newest first'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from dlq" -f -a "show" -d 'Show why one is here, and its attributes'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "show" -d 'Show the keys: short names, ages and states, never a key'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "rotate" -d 'Put a new key in the place of the node key, or add a generation to a tenant\'s key'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "create" -d 'Make a key for a tenant that has none, for the first time or after a destruction'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "destroy" -d 'Destroy all generations of a tenant\'s key: its bodies here are unreadable for good'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from disk" -f -a "relieve" -d 'Give back space without losing a message'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from retention" -f -a "show" -d 'Show what every stream keeps, by whose word, and what goes next'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from link" -f -a "show" -d 'Show how it stands, what waits, and what is limited'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from link" -f -a "limit" -d 'Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from link" -f -a "reset" -d 'Go back to what the configuration says'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check the file and its drop-ins, and list every error'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Show the configuration in effect'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "sample" -d 'Print a commented sample file'
complete -c qc-relay -n "__fish_qc_relay_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "explain" -d 'Explain the sections, or the keys of one'
