module github.com/muster-marl/muster

go 1.26.5
