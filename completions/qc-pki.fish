# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_qc_pki_global_optspecs
    string join \n c/config= o/output= json no-headers q/quiet v/verbose color= no-input timeout= h/help V/version
end

function __fish_qc_pki_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_qc_pki_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_qc_pki_using_subcommand
    set -l cmd (__fish_qc_pki_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c qc-pki -n "__fish_qc_pki_needs_command" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_needs_command" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_needs_command" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_needs_command" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_needs_command" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "init" -d 'Create a root for an organisation'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "ca" -d 'Create authorities below the root'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "serve" -d 'Serve enrollment, revocation lists and trust to nodes'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "token" -d 'Invite nodes'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "enroll" -d 'Enroll this node with a token'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "request" -d 'Ask for a certificate without a network'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "sign" -d 'Sign requests that came by file'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "install" -d 'Install a signed response on this node'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "list" -d 'List what was issued'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "show" -d 'Show a certificate by name, serial, file or host:port'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "verify" -d 'Judge a chain as a peer would'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "revoke" -d 'Revoke a certificate by name or serial'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "crl" -d 'Revocation lists'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "control" -d 'Signed objects that relays hand on to the nodes'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "trust" -d 'What nodes trust'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-pki -n "__fish_qc_pki_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l org -d 'The organisation, as it shall stand in certificates' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l trust-domain -d 'The domain under which all nodes are named' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l passphrase-file -d 'Read the passphrase for the new key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l no-passphrase -d 'Keep the new key without a passphrase (laboratories only)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand init" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -f -a "create" -d 'Create an authority below another one'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and not __fish_seen_subcommand_from create help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l parent -d 'The authority above it' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l tenant -d 'Let it name nodes of this tenant only' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l site -d 'Let it name nodes of this site only' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l roles -d 'Let it give these roles only' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l days -d 'How many days it is valid' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l passphrase-file -d 'Read the passphrase for the new key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l parent-passphrase-file -d 'Read the passphrase of the parent\'s key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l no-passphrase -d 'Keep the new key without a passphrase (laboratories only)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from help" -f -a "create" -d 'Create an authority below another one'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand ca; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l ca -d 'The authority that signs' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l listen -d 'Listen here' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l dns -d 'A host name of this server (can be repeated; default: its own and localhost)' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l passphrase-file -d 'Read the passphrase of the CA key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand serve" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -f -a "new" -d 'Invite one node: prints a token that is shown once'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and not __fish_seen_subcommand_from new help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l role -d 'Its role' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l ttl -d 'How long the token lives, 7d at most' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l front-dns -d 'Host names of its front door, for ordinary HTTP clients' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l ca -d 'The authority that will enroll it; checked to be able to' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from new" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "new" -d 'Invite one node: prints a token that is shown once'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l url -d 'The relay or authority, such as <https://hq.example:8443>' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l token-file -d 'Read the token from this file, or from stdin with -' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l dir -d 'The node\'s state directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand enroll" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -f -a "new" -d 'Make a key here and write a request to carry to the authority'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and not __fish_seen_subcommand_from new help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l role -d 'The role it asks for' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l out -d 'Write the request into this directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l dir -d 'The node\'s state directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from new" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "new" -d 'Make a key here and write a request to carry to the authority'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand request; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l ca -d 'The authority that signs' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l out -d 'Write the responses into this directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l confirm-words -d 'Sign only the request whose key has these words (can be repeated)' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l name -d 'The node of a plain PEM request' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l role -d 'The role of a plain PEM request' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l passphrase-file -d 'Read the passphrase of the CA key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s y -l yes -d 'Sign without asking'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand sign" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -l dir -d 'The node\'s state directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand install" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l expiring -d 'Only the newest of each name, if it ends within this time or has ended' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l profile -d 'Only this kind' -r -f -a "node\t''
front\t''
ca\t''"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand list" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand show" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l role -d 'The role that is wanted' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l at -d 'Judge as of this day or moment, such as 2027-03-01' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l trust -d 'Trust this directory instead of the authority\'s own' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l server -d 'Judge it as a server instead of a client'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand verify" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l cause -d 'Why' -r -f -a "unspecified\t''
key-compromise\t''"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l passphrase-file -d 'Read the passphrase of the CA key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand revoke" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -f -a "resign" -d 'Sign the revocation list of a CA again, with the next number'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and not __fish_seen_subcommand_from resign help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l ca -d 'The CA' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l passphrase-file -d 'Read the passphrase of the CA key from this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from resign" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from help" -f -a "resign" -d 'Sign the revocation list of a CA again, with the next number'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand crl; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -f -a "sign" -d 'Sign an object for relays to hand on to their nodes'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -f -a "show" -d 'Judge an object as a node would, and show what it says'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and not __fish_seen_subcommand_from sign show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l kind -d 'What it is about' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l crl -d 'A revocation list in DER or PEM (can be repeated); all lists of the authority by default' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l signer -d 'The state directory of the signer, whose certificate has the role trust-publisher' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l for -d 'Only for these nodes, such as \'*.mill7.acme\' (can be repeated); for all by default' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l revision -d 'Its revision; one more than the last one that was signed here by default' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l out -d 'Write the object to this file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from sign" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l trust -d 'Judge by this trust directory (`trust` of a state directory) instead of the authority\'s own' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "sign" -d 'Sign an object for relays to hand on to their nodes'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "show" -d 'Judge an object as a node would, and show what it says'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand control; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -f -a "show" -d 'Show roots, authorities and revocation lists'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and not __fish_seen_subcommand_from show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l trust -d 'Show this trust directory (`trust` of a state directory) instead of the authority\'s own' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l dir -d 'The authority\'s directory' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show roots, authorities and revocation lists'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -l no-headers -d 'Print tables without their header'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -s q -l quiet -d 'Print errors only'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -l no-input -d 'Never ask; fail instead'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand explain" -s V -l version -d 'Print version'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "init" -d 'Create a root for an organisation'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "ca" -d 'Create authorities below the root'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "serve" -d 'Serve enrollment, revocation lists and trust to nodes'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "token" -d 'Invite nodes'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "enroll" -d 'Enroll this node with a token'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "request" -d 'Ask for a certificate without a network'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "sign" -d 'Sign requests that came by file'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "install" -d 'Install a signed response on this node'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "list" -d 'List what was issued'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "show" -d 'Show a certificate by name, serial, file or host:port'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "verify" -d 'Judge a chain as a peer would'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "revoke" -d 'Revoke a certificate by name or serial'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "crl" -d 'Revocation lists'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "control" -d 'Signed objects that relays hand on to the nodes'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "trust" -d 'What nodes trust'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and not __fish_seen_subcommand_from init ca serve token enroll request sign install list show verify revoke crl control trust explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from ca" -f -a "create" -d 'Create an authority below another one'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "new" -d 'Invite one node: prints a token that is shown once'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from request" -f -a "new" -d 'Make a key here and write a request to carry to the authority'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from crl" -f -a "resign" -d 'Sign the revocation list of a CA again, with the next number'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "sign" -d 'Sign an object for relays to hand on to their nodes'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from control" -f -a "show" -d 'Judge an object as a node would, and show what it says'
complete -c qc-pki -n "__fish_qc_pki_using_subcommand help; and __fish_seen_subcommand_from trust" -f -a "show" -d 'Show roots, authorities and revocation lists'
