# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_qc_edge_global_optspecs
    string join \n c/config= o/output= json no-headers q/quiet v/verbose color= no-input timeout= socket= node= h/help V/version
end

function __fish_qc_edge_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_qc_edge_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_qc_edge_using_subcommand
    set -l cmd (__fish_qc_edge_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c qc-edge -n "__fish_qc_edge_needs_command" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_needs_command" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "run" -d 'Run the edge in the foreground until SIGTERM'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "status" -d 'Show how the edge fares: link, buffer, certificate, sources, sinks'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "send" -d 'Put messages into the buffer; returns when they are on disk'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "streams" -d 'Look at the streams in the buffer'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "ledger" -d 'Hold what came in against what went on and what is kept'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "dlq" -d 'Look at messages that cannot go on, with the reason'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "control" -d 'See which signed control objects this node has taken'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "key" -d 'Look at the keys of the store, change them, destroy a tenant\'s'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "disk" -d 'Show what takes the disk, what is left, and who is refused'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "netdeps" -d 'List what the configuration needs of the network, for a firewall'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "probe" -d 'Send a probe through the store here, over the link, through the store there, and back'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "link" -d 'Show the link upward, and limit how much of the line it takes'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "reload" -d 'Read certificates and trust again, and check the configuration, without a restart'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "config" -d 'Check, show and explain the configuration'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-edge -n "__fish_qc_edge_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand run" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand status" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l class -d 'The class of the data' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l lane -d 'The lane: critical, high, normal or low' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s f -l file -d 'Read the body from this file, - for stdin' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l type -d 'The type of the event' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l source -d 'The source of the event' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l id -d 'The id of the event; a repeated id is a duplicate. With --lines, -1, -2 ... is appended' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l subject -d 'The subject of the event' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l content-type -d 'The media type of the body' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l lines -d 'Make every line a message of its own'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand send" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'List the streams with their consumers'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the streams with their consumers'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand streams; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -f -a "check" -d 'Check that every stream balances: in = acked + pending + expired + dead-lettered + purged'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and not __fish_seen_subcommand_from check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check that every stream balances: in = acked + pending + expired + dead-lettered + purged'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -f -a "list" -d 'List the dead letters, newest first'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -f -a "show" -d 'Show why one is here, and its attributes'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and not __fish_seen_subcommand_from list show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l stream -d 'Only messages of this stream, TENANT/NAME' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l code -d 'Only messages with this reason code' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l filter -d 'Only what passes this expression, such as \'consumer=sink.* & age<1h\'' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s N -l limit -d 'Stop after this many' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l before -d 'Go on where an earlier list ended, as it says' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l meta -d 'Show reason, place and attributes, not the body'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the dead letters, newest first'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show why one is here, and its attributes'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand dlq; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'List what was applied, and what was refused last'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "list" -d 'List what was applied, and what was refused last'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "show" -d 'Show the keys: short names, ages and states, never a key'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "rotate" -d 'Put a new key in the place of the node key, or add a generation to a tenant\'s key'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "create" -d 'Make a key for a tenant that has none, for the first time or after a destruction'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "destroy" -d 'Destroy all generations of a tenant\'s key: its bodies here are unreadable for good'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and not __fish_seen_subcommand_from show rotate create destroy help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l tenant -d 'Rotate the key of this tenant instead of the node key' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from rotate" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l tenant -d 'The tenant' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l tenant -d 'The tenant' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l reason -d 'Why; it is kept and shown to whoever tries to read' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s y -l yes -d 'Do not ask'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from destroy" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the keys: short names, ages and states, never a key'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Put a new key in the place of the node key, or add a generation to a tenant\'s key'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a key for a tenant that has none, for the first time or after a destruction'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "destroy" -d 'Destroy all generations of a tenant\'s key: its bodies here are unreadable for good'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -f -a "relieve" -d 'Give back space without losing a message'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and not __fish_seen_subcommand_from relieve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s n -l dry-run -d 'Say what would be given back, and change nothing'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s y -l yes -d 'Do not ask'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from relieve" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from help" -f -a "relieve" -d 'Give back space without losing a message'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand disk; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l format -d 'Print it in this form' -r -f -a "table\t'Columns for people'
nft\t'Rules for nft -f'
csv\t'Comma-separated values'
json\t'One JSON object with a versioned schema'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand netdeps" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand probe" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "show" -d 'Show how it stands, what waits, and what is limited'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "limit" -d 'Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "reset" -d 'Go back to what the configuration says'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and not __fish_seen_subcommand_from show limit reset help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l catchup -d 'The share of it in percent while what waits is older than a minute' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l window -d 'Send the lanes normal and low at this time of the day only (can be repeated)' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l for -d 'For this long, such as 2h' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from limit" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from reset" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show how it stands, what waits, and what is limited'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "limit" -d 'Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Go back to what the configuration says'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand link; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand reload" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "check" -d 'Check the file and its drop-ins, and list every error'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "show" -d 'Show the configuration in effect'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "sample" -d 'Print a commented sample file'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "explain" -d 'Explain the sections, or the keys of one'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and not __fish_seen_subcommand_from check show sample explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Tell where each value comes from'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from sample" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check the file and its drop-ins, and list every error'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the configuration in effect'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "sample" -d 'Print a commented sample file'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Explain the sections, or the keys of one'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l socket -d 'Talk to the edge behind this socket' -r -F
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l node -d 'Ask this edge through the relay of this host, whose socket --socket names then' -r
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l no-headers -d 'Print tables without their header'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -s q -l quiet -d 'Print errors only'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -l no-input -d 'Never ask; fail instead'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand explain" -s V -l version -d 'Print version'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "run" -d 'Run the edge in the foreground until SIGTERM'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "status" -d 'Show how the edge fares: link, buffer, certificate, sources, sinks'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "send" -d 'Put messages into the buffer; returns when they are on disk'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "streams" -d 'Look at the streams in the buffer'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "ledger" -d 'Hold what came in against what went on and what is kept'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "dlq" -d 'Look at messages that cannot go on, with the reason'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "control" -d 'See which signed control objects this node has taken'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "key" -d 'Look at the keys of the store, change them, destroy a tenant\'s'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "disk" -d 'Show what takes the disk, what is left, and who is refused'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "netdeps" -d 'List what the configuration needs of the network, for a firewall'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "probe" -d 'Send a probe through the store here, over the link, through the store there, and back'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "link" -d 'Show the link upward, and limit how much of the line it takes'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "reload" -d 'Read certificates and trust again, and check the configuration, without a restart'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "config" -d 'Check, show and explain the configuration'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and not __fish_seen_subcommand_from run status send streams ledger dlq control key disk netdeps probe link reload config explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from streams" -f -a "list" -d 'List the streams with their consumers'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "check" -d 'Check that every stream balances: in = acked + pending + expired + dead-lettered + purged'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from dlq" -f -a "list" -d 'List the dead letters, newest first'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from dlq" -f -a "show" -d 'Show why one is here, and its attributes'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "list" -d 'List what was applied, and what was refused last'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "show" -d 'Show the keys: short names, ages and states, never a key'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "rotate" -d 'Put a new key in the place of the node key, or add a generation to a tenant\'s key'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "create" -d 'Make a key for a tenant that has none, for the first time or after a destruction'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "destroy" -d 'Destroy all generations of a tenant\'s key: its bodies here are unreadable for good'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from disk" -f -a "relieve" -d 'Give back space without losing a message'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from link" -f -a "show" -d 'Show how it stands, what waits, and what is limited'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from link" -f -a "limit" -d 'Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from link" -f -a "reset" -d 'Go back to what the configuration says'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check the file and its drop-ins, and list every error'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Show the configuration in effect'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "sample" -d 'Print a commented sample file'
complete -c qc-edge -n "__fish_qc_edge_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "explain" -d 'Explain the sections, or the keys of one'
