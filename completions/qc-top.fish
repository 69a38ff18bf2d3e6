# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_qc_top_global_optspecs
    string join \n socket= b/batch n/count= interval= filter= sort= reverse ascii linear view= o/output= json no-headers q/quiet v/verbose color= no-input timeout= c/config= h/help V/version
end

function __fish_qc_top_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_qc_top_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_qc_top_using_subcommand
    set -l cmd (__fish_qc_top_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c qc-top -n "__fish_qc_top_needs_command" -l socket -d 'Ask the relay at this admin socket' -r -F
complete -c qc-top -n "__fish_qc_top_needs_command" -s n -l count -d 'End after this many updates (0 = never; 1 with --batch or without a terminal)' -r
complete -c qc-top -n "__fish_qc_top_needs_command" -l interval -d 'Ask for new numbers this often' -r
complete -c qc-top -n "__fish_qc_top_needs_command" -l filter -d 'Show only nodes that pass, such as \'site=site-1* & backlog>1000 & state!=ok\'' -r
complete -c qc-top -n "__fish_qc_top_needs_command" -l sort -d 'Sort by this column' -r -f -a "severity\t'Worst state first, then the largest backlog'
name\t'Name'
site\t'Site, then name'
backlog\t'Largest backlog first'
oldest\t'Oldest waiting message first'
in\t'Most incoming first'
out\t'Most outgoing first'
disk\t'Fullest disk first'
cert\t'Certificate that ends soonest first'
version\t'Version'"
complete -c qc-top -n "__fish_qc_top_needs_command" -l view -d 'Start with this view' -r -f -a "fleet\t'Every node, the worst first'"
complete -c qc-top -n "__fish_qc_top_needs_command" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-top -n "__fish_qc_top_needs_command" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-top -n "__fish_qc_top_needs_command" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-top -n "__fish_qc_top_needs_command" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-top -n "__fish_qc_top_needs_command" -s b -l batch -d 'Print pages of text instead of a live view'
complete -c qc-top -n "__fish_qc_top_needs_command" -l reverse -d 'Sort the other way round'
complete -c qc-top -n "__fish_qc_top_needs_command" -l ascii -d 'Use no character outside ASCII'
complete -c qc-top -n "__fish_qc_top_needs_command" -l linear -d 'Print a sentence for each change, for screen readers and simple terminals'
complete -c qc-top -n "__fish_qc_top_needs_command" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-top -n "__fish_qc_top_needs_command" -l no-headers -d 'Print tables without their header'
complete -c qc-top -n "__fish_qc_top_needs_command" -s q -l quiet -d 'Print errors only'
complete -c qc-top -n "__fish_qc_top_needs_command" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-top -n "__fish_qc_top_needs_command" -l no-input -d 'Never ask; fail instead'
complete -c qc-top -n "__fish_qc_top_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-top -n "__fish_qc_top_needs_command" -s V -l version -d 'Print version'
complete -c qc-top -n "__fish_qc_top_needs_command" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-top -n "__fish_qc_top_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -l json -d 'Print results as JSON, same as --output json'
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -l no-headers -d 'Print tables without their header'
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -s q -l quiet -d 'Print errors only'
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -l no-input -d 'Never ask; fail instead'
complete -c qc-top -n "__fish_qc_top_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-top -n "__fish_qc_top_using_subcommand help; and not __fish_seen_subcommand_from explain help" -f -a "explain" -d 'Explain an error or event code'
complete -c qc-top -n "__fish_qc_top_using_subcommand help; and not __fish_seen_subcommand_from explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
