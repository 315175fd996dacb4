# Turns ptxas -v logs (one file an architecture, named sm_NN.cubin.log) into a table: a line for each kernel, its registers
# on each architecture. Fails, with one line each, for every function that spills registers or needs a stack frame, for
# every warning, and for an architecture about which ptxas reported nothing.
FNR == 1 {
    arch = FILENAME
    gsub(/.*\/|\.cubin\.log$/, "", arch)
    archs[++count] = arch
}
/Function properties for / { name = $NF }
/bytes stack frame/ && ($1 + 0 > 0 || $5 + 0 > 0 || $9 + 0 > 0) {
    print "brantas: " name " on " arch ": " $1 " bytes of stack, " $5 " bytes of spill stores, " $9 " of loads."
    bad = 1
}
/warning/ {
    print "brantas: " arch ": " $0
    bad = 1
}
/Used [0-9]+ registers/ {
    match($0, /Used [0-9]+/)
    registers[name, arch] = substr($0, RSTART + 5, RLENGTH - 5)
    if (name !~ /^brantas_abi_/ && !(name in seen)) {
        seen[name] = 1
        names[++kernels] = name
        if (length(name) > width) width = length(name)
    }
}
END {
    if (bad) exit 1
    for (i = 2; i <= kernels; i++)
        for (j = i; j > 1 && names[j - 1] > names[j]; j--) {
            swap = names[j]
            names[j] = names[j - 1]
            names[j - 1] = swap
        }
    printf "%-" width "s", "registers"
    for (a = 1; a <= count; a++) printf " %7s", archs[a]
    print ""
    for (i = 1; i <= kernels; i++) {
        printf "%-" width "s", names[i]
        for (a = 1; a <= count; a++) {
            if (!((names[i], archs[a]) in registers)) missing = missing " " names[i] " on " archs[a]
            printf " %7s", registers[names[i], archs[a]]
        }
        print ""
    }
    if (kernels == 0) missing = " every kernel"
    if (missing != "") {
        print "brantas: the compiler reported nothing about" missing "."
        exit 1
    }
    print "No kernel spills registers or needs a stack frame."
}
